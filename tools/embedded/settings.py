"""Every number and place of the recipe in one file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SHIPPED = REPOSITORY / "assets" / "models"
LARGEST_SHIPPED_MB = 60

VOCABULARY = 4096
ROW = 256  # positions of one training row
CONTEXT = 512  # positions the configuration allows; the interface warns beyond ROW
BEGIN, END = 1, 2  # token ids; every row starts with BEGIN, END stands between two documents
HELD_OUT_STORIES = 250


def work_folder() -> Path:
    """Where runs keep their state; EIDOSCOPE_TRAIN names it, never inside the repository's tracked
    files.
    """
    folder = Path(os.environ.get("EIDOSCOPE_TRAIN", REPOSITORY / "build" / "embedded"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def stories_file() -> Path:
    """The TinyStories sample (JSON lines, xz); EIDOSCOPE_CORPUS names the folder that holds it."""
    folder = Path(os.environ.get("EIDOSCOPE_CORPUS", REPOSITORY / "build" / "corpus"))
    path = folder / "tinystories-9mb" / "stories.jsonl.xz"
    if not path.exists():
        raise FileNotFoundError(
            f"no stories at {path}; set EIDOSCOPE_CORPUS to the folder with tinystories-9mb/"
        )
    return path


@dataclass(frozen=True)
class Plan:
    """One training run: which network, which seed, how long, how fast.

    `minutes` is wall-clock time without pauses; a run ends earlier when it has seen `most_tokens`.
    """

    name: str
    family: str
    layers: int
    width: int
    heads: int
    mlp: int
    seed: int
    minutes: float
    most_tokens: int
    rate: float
    rows: int = 4  # rows of ROW tokens per step
    warm_up: int = 100
    ship_checkpoints: bool = (
        False  # states on a logarithmic time scale are always stored, not always shipped
    )
    circuits: float = 0.06  # share of the run in phase A
    world: float = 0.62  # share in phase B; the rest is phase C


PLANS = {
    "embedded": Plan(
        "embedded",
        "llama",
        layers=6,
        width=192,
        heads=6,
        mlp=512,
        seed=1,
        minutes=900,  # by tokens, so that a slow machine trains the same model
        most_tokens=40_000_000,
        rate=2e-3,
        circuits=0.09,
        world=0.59,
    ),
    "embedded-small": Plan(
        "embedded-small",
        "gpt_neox",
        layers=6,
        width=128,
        heads=4,
        mlp=512,
        seed=2,
        minutes=900,
        most_tokens=28_000_000,
        rate=2e-3,
        ship_checkpoints=True,
    ),
}
DICTIONARY_LAYERS = {
    "embedded": (2, 3, 5),
    "embedded-small": (3,),
}  # after these blocks, counted from 1
