"""What features are called: labels that ship with a dictionary, and those a person has added."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from core.dictionaries import findings
from core.galleries.layout import LABELS, write_text
from core.home import home
from core.models.door import read_json
from core.spec.errors import Error

RULES = "rules.jsonl"
MAX_LABEL = 120  # characters
_MAX_LINES = 200_000


@dataclass(frozen=True)
class Label:
    """A label with its score, F1 on documents it was not chosen on; NaN: nobody has tested it.

    `chance`: what the same choice reaches for a feature whose firings were moved to other
    documents, 99th percentile; NaN where that is not known. `by` says who chose it.
    """

    text: str
    score: float = float("nan")
    chance: float = float("nan")
    by: str = ""


def of(folder: str, fingerprint: str) -> dict[int, Label]:
    """Labels by feature: the better of a shipped one and one by rule, under those that were added.

    Both have scores on documents they were not chosen on.
    """
    found = shipped(Path(folder)) if folder else {}
    for feature, label in ruled(fingerprint).items():
        if feature not in found or not found[feature].score > label.score:
            found[feature] = label
    return found | added(fingerprint)


def shipped(folder: Path) -> dict[int, Label]:
    """The labels beside a dictionary's files, {} where there are none or they are damaged."""
    path = folder / findings.SHIPPED_LABELS
    if not path.is_file():
        return {}
    try:
        plain = read_json(path)
        rows, chance = plain["features"], float(plain.get("chance", "nan"))
        return {
            number: Label(str(row["label"])[:MAX_LABEL], float(row["f1"]), chance, "shipped")
            for number, row in enumerate(rows)
        }
    except (Error, KeyError, TypeError, ValueError):
        return {}


def ruled(fingerprint: str) -> dict[int, Label]:
    """The labels by rule that were found last, {} where none were or the file is damaged."""
    try:
        with _path(fingerprint, RULES).open(encoding="utf-8") as file:
            lines = [json.loads(line) for _, line in zip(range(_MAX_LINES), file, strict=False)]
        return {int(line.pop("feature")): Label(**line) for line in lines}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def write_ruled(fingerprint: str, found: Mapping[int, Label]) -> None:
    """Keep labels by rule in the place of those before. Raises `OSError`."""
    path = _path(fingerprint, RULES)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (
        json.dumps({"feature": feature, **asdict(label)}, ensure_ascii=True)
        for feature, label in found.items()
    )
    write_text(path, "\n".join(lines) + "\n")


def added(fingerprint: str) -> dict[int, Label]:
    """The labels added to a dictionary; the last one of a feature holds, an empty one removes."""
    found: dict[int, Label] = {}
    try:
        with _path(fingerprint).open(encoding="utf-8") as file:
            for _, line in zip(range(_MAX_LINES), file, strict=False):
                try:
                    plain = json.loads(line)
                    feature = int(plain.pop("feature"))
                    found[feature] = Label(**plain)
                except (ValueError, TypeError, KeyError, RecursionError):
                    continue  # a line that was cut off while it was written
    except OSError:
        return {}
    return {feature: label for feature, label in found.items() if label.text}


def add(fingerprint: str, feature: int, label: Label) -> None:
    """Add a label; the file only ever grows. Raises `Error` where it cannot be written."""
    add_all(fingerprint, {feature: label})


def add_all(fingerprint: str, found: Mapping[int, Label]) -> None:
    """Add labels in one go. Raises `Error`, and then adds none."""
    for label in found.values():
        if len(label.text) > MAX_LABEL or not label.text.isprintable():
            raise Error(f"a label is one line of at most {MAX_LABEL} characters")
    lines = (
        json.dumps({"feature": feature, **asdict(label)}, ensure_ascii=True) + "\n"
        for feature, label in found.items()
    )
    path = _path(fingerprint)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(lines))
            file.flush()
            os.fsync(file.fileno())
    except OSError as fault:
        raise Error(f"the label cannot be kept in {path.parent}: {fault.strerror}") from None


def shortened(text: str) -> str:
    """A text as a label: one line, no longer than a label may be."""
    clean = "".join(sign if sign.isprintable() else " " for sign in text)
    line = " ".join(clean.split())
    return line if len(line) <= MAX_LABEL else line[: MAX_LABEL - 1] + "…"


def _path(fingerprint: str, name: str = LABELS) -> Path:
    """Not in a gallery: those make room for newer ones."""
    return home() / findings.LABELS / f"{findings.labels_of(fingerprint)}.{name}"
