"""history.json: how abilities and circuits formed over training, measured on the stored states of a
run.
"""

from __future__ import annotations

import json
from pathlib import Path

from tools.embedded.acceptance.behaviour import score
from tools.embedded.acceptance.circuits import LENGTH, head_table
from tools.embedded.head_scores import copy_gain, random_repeats
from tools.embedded.reading import Reader

FOLLOWED = (
    "capital",
    "next day",
    "day steps",
    "day steps, held out",
    "addition",
    "plural",
    "gender analogy",
    "possession",
    "indirect object",
    "two hops",
    "verdict",
    "truth",
    "request",
)


def formation(folders: list[Path]) -> list[dict]:
    """One entry per stored state: tokens seen, task accuracies, all head scores."""
    found = []
    for folder in folders:
        reader = Reader.open(folder)
        previous, induction = head_table(reader)
        seen = json.loads((folder / "training.json").read_text())
        found.append(
            {
                **seen,
                "tasks": {
                    task: round(value, 4) for task, value in score(reader, *FOLLOWED).items()
                },
                "previous_token": [
                    [round(value, 4) for value in layer] for layer in previous.tolist()
                ],
                "induction": [[round(value, 4) for value in layer] for layer in induction.tolist()],
                "copy_gain": round(
                    copy_gain(reader.model, random_repeats(8, LENGTH, seed=3), LENGTH), 4
                ),
            }
        )
    return found


def write(name: str, target: Path, run: Path) -> None:
    """The loss curve of the run and the formation measured on its stored states."""
    folders = sorted((run / "checkpoints").iterdir())
    (target / "history.json").write_text(
        json.dumps(
            {
                "model": name,
                "curve": json.loads((run / "history.json").read_text()),
                "formation": formation(folders),
            },
            separators=(",", ":"),
        )
        + "\n"
    )
