"""The folder of a gallery: what lies in it, how it is made without ever being half there.

A gallery is made in `.<key>.part` beside its place, and takes its place by one renaming. The part
folder keeps a checkpoint, so that a process that was killed is gone on from.
"""

import errno
import gzip
import hashlib
import json
import logging
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, load_file, save, save_file

from core.dictionaries import findings
from core.dictionaries.sparse import SparseDict
from core.home import home
from core.models.door import read_json
from core.spec.errors import Error

log = logging.getLogger("eidoscope")

VERSION = 1  # of the layout and of what its numbers mean
MANIFEST = "manifest.json"
TEXT, PIECES, STATS, LISTS = (
    "text.safetensors",
    "pieces.json",
    "stats.safetensors",
    "lists.safetensors",
)
TABLE, LABELS = "features.parquet", "labels.jsonl"
CHECKPOINT = "checkpoint.safetensors"
MAX_PACKED = 1_000_000_000  # bytes that a packed file may unfold to
MAX_DISK = 4_000_000_000  # bytes of all galleries; those used longest ago go first
_FULL = (errno.ENOSPC, errno.EDQUOT)
_WAIT = 0.5  # seconds between looks at a gallery that another process is making


@dataclass(frozen=True)
class Manifest:
    """What a gallery is of. `made` and `seconds` are the only fields two equal builds differ in."""

    version: int
    key: str
    model: str
    model_fingerprint: str
    dtype: str
    dictionary: str
    dictionary_fingerprint: str
    format: str  # of the dictionary's files
    site: str
    out_site: str
    n_features: int
    corpus: str
    field: str
    corpus_fingerprint: str
    asked_window: int
    asked_contexts: int
    window: int  # tokens of the longest context
    n_contexts: int
    n_tokens: int  # tokens that count
    n_documents: int
    cut: bool  # the corpus goes on behind the last context
    changes: tuple[dict[str, Any], ...]  # interventions in place, plain
    seed: int
    mask: str  # which tokens count, in words
    codes: bool  # every activation is kept
    codes_note: str  # why not
    n_clamped: int  # activations beyond float16, kept as its largest number
    share: float  # of the text that was read: below 1 while it grows
    made: str = ""
    seconds: float = 0.0

    def text(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=True) + "\n"


def root() -> Path:
    """Where galleries are kept."""
    return home() / findings.GALLERIES


def key_of(*parts: Any) -> str:
    """The name of a gallery: a hash of everything its numbers depend on."""
    text = json.dumps([VERSION, *parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def dictionary_fingerprint(dictionary: SparseDict) -> str:
    """SHA-256 of the dictionary's files, or of its numbers where it has none."""
    if dictionary.about.fingerprint:
        return dictionary.about.fingerprint
    whole = hashlib.sha256()
    act = dictionary.act
    tensors = (dictionary.W_enc, dictionary.b_enc, dictionary.W_dec, dictionary.b_out)
    tensors += (dictionary.b_in, act.threshold, act.r_mag, act.b_mag)  # type: ignore[assignment]
    for tensor in tensors:
        if tensor is not None:
            whole.update(tensor.detach().cpu().contiguous().float().numpy().tobytes())
    plain = (act.kind, act.k, dictionary.norm.kind, dictionary.norm.scale, dictionary.center)
    whole.update(repr((*plain, dictionary.heads, dictionary.pre_scale)).encode())
    return whole.hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder. Raises `Error` when it is of another version or damaged."""
    plain = read_json(folder / MANIFEST)
    if plain.get("version") != VERSION:
        raise Error(
            f"the gallery in {folder.name} is of version {str(plain.get('version'))[:20]}, this "
            f"program reads version {VERSION}; delete the folder and it is made again"
        )
    if set(plain) != {field.name for field in fields(Manifest)}:
        raise Error(f"the gallery in {folder.name} is damaged: its manifest is not complete")
    return Manifest(**plain | {"changes": tuple(plain["changes"])})


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Arrays of a safetensors file, packed (.gz) or not. Raises `Error` when it is damaged."""
    packed = path.with_name(f"{path.name}.gz")
    try:
        if path.exists() or not packed.exists():
            found: dict[str, np.ndarray] = load_file(path)
            return found
        with gzip.open(packed) as file:
            data = file.read(MAX_PACKED + 1)
        if len(data) > MAX_PACKED:
            raise ValueError(f"more than {MAX_PACKED:,} bytes are packed in it")
        found = load(data)
    except (OSError, EOFError, zlib.error, SafetensorError, ValueError) as fault:
        raise Error(
            f"{path.name} of the gallery in {path.parent.name} is damaged ({fault}); delete the "
            "folder and it is made again"
        ) from None
    return found


def write_packed(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """The same for a gallery that ships: the same bytes at any time."""
    data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(data, 9, mtime=0))


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """A safetensors file; replaced as a whole."""
    temporary = path.with_name(f"{path.name}.new")
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def write_text(path: Path, text: str) -> None:
    """A text file; replaced as a whole."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def part_of(folder: Path) -> Path:
    """Where a gallery is made before it takes its place."""
    return folder.with_name(f".{folder.name}.part")


@contextmanager
def making(folder: Path, check: Callable[[], None]) -> Iterator[Path]:
    """The part folder, for this process alone; waits while another one makes the same gallery.

    A disk that is full or refuses: `Error` in one sentence, and the part folder is gone.
    """
    part = part_of(folder)
    lock = None
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        lock = _locked(part.with_suffix(".lock"), check)
        part.mkdir(exist_ok=True)
        yield part
    except OSError as fault:
        shutil.rmtree(part, ignore_errors=True)
        raise _sentence(fault, part.parent) from fault
    except SafetensorError as fault:  # its writer reports a full disk in words of its own
        shutil.rmtree(part, ignore_errors=True)
        full = "No space" in str(fault) or "os error 28" in str(fault)
        kept = OSError(errno.ENOSPC if full else errno.EIO, str(fault))
        raise _sentence(kept, part.parent) from fault
    finally:
        if lock is not None:
            with suppress(OSError):
                os.unlink(part.with_suffix(".lock"))
            os.close(lock)


def _locked(path: Path, check: Callable[[], None]) -> int:
    """An open file that this process alone has locked."""
    import fcntl  # here, so that reading galleries needs no such system

    while True:
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(handle).st_nlink:  # not one that its last owner has just removed
                return handle
        except BlockingIOError:
            pass
        os.close(handle)
        check()
        time.sleep(_WAIT)


def _sentence(fault: OSError, where: Path) -> Error:
    if fault.errno in _FULL:
        return Error(
            f"the disk of {where} is full, so the gallery was not made; free some space, take "
            "fewer contexts, or set EIDOSCOPE_HOME to another disk"
        )
    return Error(
        f"the gallery cannot be kept in {where}: {fault.strerror or fault}; set EIDOSCOPE_HOME to "
        "a folder that can be written"
    )


def publish(part: Path, folder: Path) -> None:
    """The finished part takes its place; what was there before is gone."""
    if folder.exists():
        shutil.rmtree(folder)
    part.replace(folder)
    trim(folder)


def trim(keep: Path) -> None:
    """Let go of the galleries used longest ago, of features and of neurons, until all fit.

    What somebody is still making stays.
    """
    found = []
    for folder in keep.parent.iterdir():
        if folder.name.startswith("."):
            continue
        with suppress(OSError):
            size = sum(file.stat().st_size for file in folder.iterdir())
            found.append((folder.stat().st_mtime, size, folder))
    total = sum(size for _, size, _ in found)
    for _, size, folder in sorted(found):
        if total <= MAX_DISK:
            return
        if folder != keep:
            shutil.rmtree(folder, ignore_errors=True)
            total -= size


def n_bytes(folder: Path, names: Sequence[str] = ()) -> int:
    """Bytes of a gallery's files, or of those whose names begin with some."""
    files = [path for path in folder.iterdir() if path.name.startswith(tuple(names or [""]))]
    return sum(path.stat().st_size for path in files)
