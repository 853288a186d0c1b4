"""Where Eidoscope keeps things and which mode it runs in. Standard library only."""

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "assets"
EMBEDDED = ASSETS / "models"


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
