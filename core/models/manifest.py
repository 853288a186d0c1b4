"""Folders that stand beside a MANIFEST.json are held to it before they are loaded."""

import hashlib
from pathlib import Path

from core.models import door
from core.spec.errors import Error

MANIFEST = "MANIFEST.json"


def verify(folder: Path) -> None:
    """Compare the folder's own files with sizes and SHA-256 in the manifest beside it, if any.

    Raises `Error` naming the first file that is missing or is not the one that was shipped.
    """
    path = folder.parent / MANIFEST
    if not path.is_file():
        return
    listed = door.read_json(path).get("files", {})
    for name, entry in listed.items():
        place, _, file = name.rpartition("/")
        if place == folder.name and not _as_shipped(folder / file, entry):
            raise Error(
                f"{name} is missing or damaged: it is not the file that {MANIFEST} describes; "
                "get the shipped files again"
            )


def _as_shipped(path: Path, entry: dict[str, object]) -> bool:
    if not path.is_file() or path.stat().st_size != entry["bytes"]:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == entry["sha256"]
