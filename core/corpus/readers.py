"""Texts to look at: the built-in ones, files of a person's own, and texts that were pasted in.

A corpus is named by plain data, so that it can stand in a question: a built-in name, the path of a
.txt, .jsonl or .parquet file, or a list of texts.
"""

import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from core import home
from core.corpus.reference import paragraphs
from core.corpus.world import HELD_OUT_SEEDS, documents
from core.spec.errors import Error

BUILT_IN = ("built-in", "reference", "world")
SUFFIXES = (".txt", ".jsonl", ".parquet")
MAX_FILE = 4_000_000_000  # bytes; files are read as a stream, and only as far as is needed
MAX_LINE = 10_000_000  # characters of one document
MAX_PASTED = 2_000_000  # characters of all pasted texts together
MAX_WORLD = 200_000  # generated documents; the generator itself never ends
MAX_PATH = 4_000
BREAK = "<|endoftext|>"  # the sign between documents that many plain text corpora use

Corpus = str | Sequence[str]


@dataclass(frozen=True)
class Text:
    """One document; `spans` are planted labels (start, end, labels) where it is generated."""

    text: str
    spans: tuple[tuple[int, int, tuple[str, ...]], ...] = ()


def name_of(corpus: Corpus) -> str:
    """The corpus in a few words, for captions and errors. A file is called by its last name."""
    if not isinstance(corpus, str):
        return "pasted text"
    return corpus if corpus in BUILT_IN else _shown(Path(corpus).name)


def texts(corpus: Corpus, field: str = "text") -> Iterator[Text]:
    """The documents of a corpus one by one. Raises `Error` on what cannot be read.

    `field` is the column of a .parquet file, or the key of a .jsonl file whose lines are objects.
    A .txt file is one document, unless lines of "<|endoftext|>" or two blank lines divide it.
    """
    if isinstance(corpus, str):
        if corpus in BUILT_IN:
            return _built_in(corpus)
        path = _path(corpus)
        read = {".txt": _plain, ".jsonl": _lines, ".parquet": _columns}[path.suffix.lower()]
        return (Text(_checked(text, where)) for where, text in read(path, field) if text.strip())
    return iter(_pasted(corpus))


def stamp(corpus: Any) -> str:
    """Changes when a corpus file does: its size and time. "" for what has no file."""
    if not isinstance(corpus, str) or corpus in BUILT_IN:
        return ""
    status = _path(corpus).stat()
    return f"{status.st_size}:{status.st_mtime_ns}"


def _built_in(name: str) -> Iterator[Text]:
    if name != "world":
        yield from (Text(paragraph) for paragraph in paragraphs())
    if name != "reference":
        for made in islice(documents(HELD_OUT_SEEDS), MAX_WORLD):
            yield Text(made.text, tuple((s.start, s.end, s.labels) for s in made.spans()))


def _pasted(corpus: Sequence[str]) -> list[Text]:
    if not all(isinstance(text, str) for text in corpus):
        raise Error("a corpus is a name, the path of a file, or a list of texts")
    length = sum(map(len, corpus))
    if length > MAX_PASTED:
        raise Error(
            f"the pasted texts have {length:,} characters; at most {MAX_PASTED:,} are read, "
            "so put them into a .txt file and give its path"
        )
    found = [
        Text(_checked(text, f"text {number}"))
        for number, text in enumerate(corpus, 1)
        if text.strip()
    ]
    if not found:
        raise Error("the corpus is empty: paste at least one text")
    return found


def _path(name: str) -> Path:
    """The file of that name, when it may be read; a server shows none of its own."""
    if home.hosted():
        raise Error(
            f"no corpus {_shown(name)}: this server reads {', '.join(BUILT_IN)} and pasted text, "
            "no files"
        )
    if not name.strip() or len(name) > MAX_PATH or not name.isprintable():
        raise Error(f"no corpus {_shown(name)}: expected {', '.join(BUILT_IN)} or a file's path")
    path = Path(os.path.expanduser(name))
    if ".." in path.parts:
        raise Error(f"the path {_shown(name)} holds '..'; give the whole path instead")
    if path.suffix.lower() not in SUFFIXES:
        raise Error(
            f"no corpus {_shown(name)}: expected {', '.join(BUILT_IN)} or the path of a "
            f"{', '.join(SUFFIXES)} file"
        )
    return _plain_file(path, name)


def _plain_file(path: Path, name: str) -> Path:
    try:
        status = path.stat()
    except OSError as fault:
        raise Error(f"the corpus {_shown(name)} cannot be read: {fault.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        raise Error(f"the corpus {_shown(name)} is not a plain file")
    if not 0 < status.st_size <= MAX_FILE:
        size = f"{status.st_size / 1e9:.1f} GB, at most {MAX_FILE / 1e9:.0f} GB are read"
        raise Error(f"the corpus {_shown(name)} {'has ' + size if status.st_size else 'is empty'}")
    return path


def _plain(path: Path, _: str) -> Iterator[tuple[str, str]]:
    """Documents of a plain text: between break lines or pairs of blank lines."""
    held: list[str] = []
    length, blank, number = 0, 0, 1
    for _number, line in _read_lines(path):
        length += len(line)
        if length > MAX_LINE:
            raise Error(
                f"{_shown(path.name)}: document {number} has more than {MAX_LINE:,} characters; "
                f"divide the text by lines of {BREAK}"
            )
        head, sign, tail = line.partition(BREAK)
        blank = blank + 1 if not line.strip() else 0
        held.append(head)
        if sign or (blank == 2 and "".join(held).strip()):
            yield f"document {number} of {_shown(path.name)}", "".join(held).strip("\n")
            held, length, number = [tail.replace(BREAK, "\n")], 0, number + 1
    yield f"document {number} of {_shown(path.name)}", "".join(held).strip("\n")


def _lines(path: Path, field: str) -> Iterator[tuple[str, str]]:
    """Documents of a file with one JSON text or object per line."""
    for number, line in _read_lines(path):
        where = f"line {number} of {_shown(path.name)}"
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise Error(f"{where} is not JSON; a .jsonl file has one JSON value per line") from None
        if isinstance(value, dict):
            if field not in value:
                keys = ", ".join(_shown(str(key)) for key in islice(value, 8)) or "none"
                raise Error(f"{where} has no field {_shown(field)}; it has {keys}")
            value = value[field]
        if not isinstance(value, str):
            raise Error(f"{where} holds a {type(value).__name__} where a text was expected")
        yield where, value


def _columns(path: Path, field: str) -> Iterator[tuple[str, str]]:
    """Documents of one column of a .parquet file."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise Error(
            "reading .parquet files needs the package pyarrow: install it, or convert the file "
            "to .jsonl"
        ) from None
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if field not in names:
                there = ", ".join(_shown(str(name)) for name in names[:8])
                raise Error(f"{_shown(path.name)} has no column {_shown(field)}; it has {there}")
            row = 0
            for batch in file.iter_batches(batch_size=256, columns=[field]):
                for value in batch.column(0).to_pylist():
                    row += 1
                    if value is not None and not isinstance(value, str):
                        raise Error(
                            f"column {_shown(field)} of {_shown(path.name)} holds a "
                            f"{type(value).__name__} in row {row} where a text was expected"
                        )
                    yield f"row {row} of {_shown(path.name)}", value or ""
    except (pyarrow.ArrowException, OSError):
        raise Error(f"{_shown(path.name)} is not a parquet file that can be read") from None


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines, the break kept; a line that never ends is refused before memory fills."""
    try:
        with path.open(encoding="utf-8-sig", newline=None) as file:
            for number in range(1, 1 << 62):
                line = file.readline(MAX_LINE + 1)
                if not line:
                    return
                if len(line) > MAX_LINE:
                    raise Error(
                        f"line {number} of {_shown(path.name)} has more than {MAX_LINE:,} "
                        "characters; divide it"
                    )
                yield number, line
    except UnicodeDecodeError as fault:
        raise Error(
            f"{_shown(path.name)} is not UTF-8 text (byte 0x{fault.object[fault.start]:02x}); "
            "save it as UTF-8"
        ) from None
    except OSError as fault:
        raise Error(f"{_shown(path.name)} cannot be read: {fault.strerror}") from None


def _checked(text: str, where: str) -> str:
    """The text, when tokenizers can take it. JSON can hold halves of character pairs."""
    if len(text) > MAX_LINE:
        raise Error(f"{where} has {len(text):,} characters; at most {MAX_LINE:,} are read")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as fault:
        raise Error(
            f"{where} holds half of a character pair (U+{ord(text[fault.start]):04X}); remove it"
        ) from None
    return text


def _shown(name: str, most: int = 80) -> str:
    """A name inside a sentence: harmless and not too long."""
    safe = "".join(sign if sign.isprintable() else "?" for sign in name)
    return repr(safe if len(safe) <= most else f"{safe[: most - 1]}…")
