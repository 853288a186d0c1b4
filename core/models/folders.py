"""Where edited models may be written: a new folder, in hosted mode only under the home."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core import home
from core.models.header import shown
from core.spec.errors import Error

EDITED = "edited"  # below $EIDOSCOPE_HOME
MOST_HOSTED = 20
_NAME = re.compile(r"[A-Za-z0-9][\w.\- ]{0,99}", re.ASCII)


def target(folder: str | Path) -> Path:
    """The folder to be written, which does not exist yet.

    A plain name means a folder of the home; elsewhere only with the whole path, and never in
    hosted mode. Nothing is ever overwritten.
    """
    text = str(folder).strip()
    if not text:
        raise Error("where to? Give a name for the new folder")
    if _NAME.fullmatch(text):
        found = home.home() / EDITED / text
    elif home.hosted():
        raise Error(
            f"{shown(text)} is no plain name; on this server folders have one without / or \\"
        )
    else:
        found = Path(os.path.expanduser(text))
        if not found.is_absolute():
            raise Error(f"{shown(text)} is neither a plain name nor the whole path of a folder")
    if os.path.lexists(found):
        raise Error(f"{shown(str(found))} exists already and is not overwritten; take another name")
    if home.hosted() and len(written()) >= MOST_HOSTED:
        raise Error(
            f"this server keeps at most {MOST_HOSTED} edited models; ask for one to be removed"
        )
    return found


def written() -> list[Path]:
    """The edited models in the home, by name."""
    root = home.home() / EDITED
    if not root.is_dir():
        return []
    return sorted(path.parent for path in root.glob("*/config.json"))


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A place beside the folder to write to; it becomes the folder when all went well.

    Otherwise nothing is left behind.
    """
    import shutil

    part = folder.with_name(f".{folder.name}.part")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(part, ignore_errors=True)
        yield part
        if os.path.lexists(folder):
            raise Error(f"{shown(str(folder))} appeared meanwhile and is not overwritten")
        os.rename(part, folder)
    except OSError as fault:
        raise Error(f"{shown(str(folder))} cannot be written: {fault.strerror or fault}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
