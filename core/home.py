"""Where Eidoscope keeps things and which mode it runs in. Standard library only."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "assets"
EMBEDDED = ASSETS / "models"
CHECKPOINTS = "checkpoints"  # in a model's own folder, one folder each


def home() -> Path:
    """The folder for the store and the user's files: $EIDOSCOPE_HOME or ~/.eidoscope."""
    return Path(os.environ.get("EIDOSCOPE_HOME") or Path.home() / ".eidoscope")


def hosted() -> bool:
    """Hosted mode ($EIDOSCOPE_HOSTED=1): no folders of the server, embedded models only."""
    return os.environ.get("EIDOSCOPE_HOSTED", "") not in ("", "0")


@dataclass(frozen=True, slots=True)
class Shipped:
    """An embedded model: its name and its folder."""

    name: str
    folder: Path


def embedded() -> tuple[Shipped, ...]:
    """The models that ship with the program, the default one first."""
    folders = sorted(path.parent for path in EMBEDDED.glob("*/config.json"))
    return tuple(Shipped(folder.name, folder) for folder in folders)


def checkpoints_in(folder: Path) -> list[Path]:
    """The checkpoints in a model's folder, earliest first by the numbers in their names.

    The folders in "checkpoints", and those called "checkpoint-<step>" beside the weights, as the
    trainer of the transformers library writes them.
    """
    try:
        found = [*(folder / CHECKPOINTS).glob("*"), *folder.glob("checkpoint-*")]
        kept = [each for each in found if (each / "config.json").is_file()]
    except OSError:
        return []
    return sorted(kept, key=lambda each: _by_number(each.name))


def _by_number(name: str) -> list[tuple[int, str]]:
    """Orders step-200 before step-1000."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def called(folder: Path) -> str:
    """How a question names a folder: an embedded model, or one inside it, without the path."""
    for model in embedded():
        if folder.is_relative_to(model.folder):
            return "/".join((model.name, *folder.relative_to(model.folder).parts))
    return str(folder)


def checkpoint_names(name: str) -> tuple[str, ...]:
    """The checkpoints in the folder of a model that is named, as they are named themselves.

    Of a hub id (), and of everything but embedded models on a server.
    """
    shipped = {model.name: model.folder for model in reversed(embedded())}
    if name in shipped:
        return tuple(called(each) for each in checkpoints_in(shipped[name]))
    if hosted():
        return ()
    folder = Path(os.path.expanduser(name))
    return tuple(
        f"{name.rstrip('/')}/{each.relative_to(folder).as_posix()}"
        for each in checkpoints_in(folder)
    )


def model_of(checkpoint: str) -> str:
    """The model whose checkpoint this is, by name; "" for what is no checkpoint."""
    parts = checkpoint.rstrip("/").split("/")
    for up in (2, 1):
        whole = "/".join(parts[:-up])
        if whole and checkpoint.rstrip("/") in checkpoint_names(whole):
            return whole
    return ""
