"""A set of concepts as people type it: words, groups of words, pairs. Standard library only.

mammal: dog, cat, horse            a group and its words
animal > bird: robin, owl          the same below another group
king - queen                       a pair; "=" and "->" do as well
female:                            a heading; the lines below it belong to it
"Question: who is it?"             a whole text, whatever stands in it
The day after {}                   a context the words stand in
# anything                         a remark
"""

import csv
import re
from dataclasses import dataclass, field

from core.spec.concept_set import KINDS, SLOT, ConceptSet, Group, short
from core.spec.errors import Error

_PAIR = re.compile(r"\s+(?:-|–|—|=|->|→|=>)\s+|\t")
_COMMA = re.compile(r"[,，、;]")


@dataclass
class _Read:
    """What was read so far: rows by group, what is above a group, contexts."""

    groups: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)
    above: dict[str, str] = field(default_factory=dict)
    contexts: list[str] = field(default_factory=list)


def read_text(content: str, name: str = "own words", kind: str = "") -> ConceptSet:
    """A set from typed or pasted lines, as the module's own words say.

    kind  how the groups are meant, one of `KINDS`; "" takes pairs for pairs and all else for
          categories

    Words that stand twice in a group are kept once. Raises `Error` naming the line.
    """
    if kind and kind not in KINDS:
        raise Error(f"a set is one of {', '.join(KINDS)}, not {short(kind)}")
    read, heading = _Read(), ""
    for number, line in enumerate(content.splitlines(), start=1):
        text = line.strip().lstrip("\ufeff")
        if not text or text.startswith("#"):
            continue
        if text.endswith(SLOT):
            read.contexts.append(text)
            continue
        called, rest, under = _parts(text)
        if called:
            _place(read, called, number)
        group = called.rpartition(">")[2].strip() if called else heading or name
        if called and not rest:
            heading = group
            continue
        rows = _rows(rest if called else text, whole=under or bool(heading and not called))
        read.groups.setdefault(group, []).extend(rows)
    return _set(read, name, kind)


def _parts(text: str) -> tuple[str, str, bool]:
    """(name of the group or "", the rest, is the line one quoted text?)."""
    if text[0] in "\"'" and text[-1] == text[0] and len(text) > 1:
        return "", text[1:-1], True
    called, colon, rest = text.partition(":")
    if colon and called.strip() and not _PAIR.search(called):
        return called.strip(), rest.strip(), False
    return "", text, False


def _place(read: _Read, called: str, number: int) -> None:
    """Note a group and what is above it: "living > animal > bird"."""
    path = [part.strip() for part in called.split(">")]
    if not all(path):
        raise Error(f"line {number}: a group is missing beside {'>'!r}")
    for up, low in zip(["", *path], path, strict=False):
        read.groups.setdefault(low, [])
        if read.above.setdefault(low, up) != up and up:
            before = read.above[low]
            if before:
                raise Error(
                    f"line {number}: {short(low)} lies below {short(up)} and {short(before)}; "
                    "keep one of them"
                )
            read.above[low] = up


def _rows(text: str, whole: bool) -> list[tuple[str, ...]]:
    """The words or pairs of a line: one pair, several by commas, one whole text below a heading."""
    quoted = len(text) > 1 and text[0] == text[-1] == '"' and text.count('"') == 2
    if quoted:
        return [(text[1:-1],)]
    if whole and not _PAIR.search(text):
        return [(text,)]
    found = []
    for part in _cells(text):
        halves = tuple(half.strip() for half in _PAIR.split(part) if half.strip())
        found.append(halves)
    return found


def _cells(text: str) -> list[str]:
    """Parts between commas; a part in double quotes may hold commas."""
    if '"' in text:
        cells = next(csv.reader([text], skipinitialspace=True), [])
    else:
        cells = _COMMA.split(text)
    return [cell.strip() for cell in cells if cell.strip()]


def _set(read: _Read, name: str, kind: str) -> ConceptSet:
    rows = [row for group in read.groups.values() for row in group]
    if not rows:
        raise Error("no words: write one a line, or a group as 'name: word, word'")
    if odd := next((row for row in rows if len(row) > 2), ()):
        raise Error(f"{short(' - '.join(odd))} has {len(odd)} parts; a pair has two")
    paired = len(rows[0]) == 2
    if odd := next((row for row in rows if (len(row) == 2) != paired), ()):
        raise Error(
            f"{short(' - '.join(odd))} is {'a word' if paired else 'a pair'} among "
            f"{'pairs' if paired else 'words'}; a set holds one or the other"
        )
    if kind and (kind == "pairs") != paired:
        raise Error(f"the lines are {'pairs' if paired else 'words'}, so the set is no {kind}")
    groups = [
        Group(
            called,
            tuple(row[0] for row in dict.fromkeys(own)),
            tuple(row[1] for row in dict.fromkeys(own)) if paired else (),
            read.above.get(called, ""),
        )
        for called, own in read.groups.items()
    ]
    kind = kind or ("pairs" if paired else "categories")
    return ConceptSet(name, kind, tuple(groups), tuple(read.contexts), source="typed in")
