"""The nine data sets of "Exploring Concept Depth" (Jin et al. 2024), read from a local folder.

Files as the paper's repository (Luckfort/CD, folder `dataset`) names them, or a table under the
name of the set. What is not there and comes with the program in a like form is taken from there.
Standard library only, so that pages can list them.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core import labelled
from core.home import hosted
from core.spec.errors import Error
from core.spec.labelled import LabelledSet, of_labels, short
from core.spec.tables import csv_rows, json_rows

MOST = 1_000  # texts of a set, half of each class
DOMAINS = ("factual", "emotional", "inferential")
_TRUE = ("1", "true", "yes", "positive", "pos")
_FALSE = ("0", "false", "no", "negative", "neg")


@dataclass(frozen=True)
class PaperSet:
    """One of the nine.

    files    names it may have; classes as the program orders them, the second counts
    columns  of a table: text, label, group ("" for none)
    built_in the like of it that comes with the program, "" for none
    """

    name: str
    domain: str
    files: tuple[str, ...]
    classes: tuple[str, str]
    columns: tuple[str, str, str]
    built_in: str = ""


NINE = (
    PaperSet("Cities", "factual", ("cities.csv",), ("false", "true"),
             ("statement", "label", "city"), "cities"),
    PaperSet("CommonClaim", "factual", ("common_claim.csv",), ("false", "true"),
             ("examples", "label", "")),
    PaperSet("Counterfact", "factual", ("counterfact.csv",), ("false", "true"),
             ("statement", "label", "subject"), "counterfact"),
    PaperSet("STSA", "emotional", ("stsa.binary.train", "stsa.csv"), ("negative", "positive"),
             ("sentence", "label", "")),
    PaperSet("IMDb", "emotional", ("imdb.csv", "IMDB Dataset.csv"), ("negative", "positive"),
             ("review", "sentiment", "")),
    PaperSet("Sarcasm", "emotional", ("sarcasm.json", "Sarcasm_Headlines_Dataset.json",
             "sarcasm.jsonl"), ("serious", "sarcastic"), ("headline", "is_sarcastic", "")),
    PaperSet("HateEval", "emotional", ("hateeval.tsv", "hateeval.csv"), ("no hate", "hate"),
             ("text", "HS", "")),
    PaperSet("StrategyQA", "inferential", ("StrategyQA_task.json", "strategyqa.csv"),
             ("no", "yes"), ("statement", "label", ""), "StrategyQA"),
    PaperSet("Coinflip", "inferential", ("coin_flip.json", "coin_flip.csv"), ("no", "yes"),
             ("statement", "label", ""), "coin flips"),
)  # fmt: skip


def read(folder: str, *, most: int = MOST, seed: int = 0) -> list[tuple[PaperSet, Any]]:
    """Each of the nine with its texts, or with the sentence why it is not there.

    folder  "" for what comes with the program alone
    most    texts of a set, drawn with the seed, as many of each class; the paper takes all
    """
    place = Path(folder).expanduser() if folder else None
    if place is not None and hosted():
        raise Error("this server reads no files; its nine sets are those that come with it")
    if place is not None and not place.is_dir():
        raise Error(f"no folder {short(folder)}; it holds files such as common_claim.csv")
    found: list[tuple[PaperSet, Any]] = []
    for one in NINE:
        try:
            found.append((one, few(_of(one, place), most, seed)))
        except Error as fault:
            found.append((one, str(fault)))
    return found


def _of(one: PaperSet, folder: Path | None) -> LabelledSet:
    for name in one.files if folder is not None else ():
        path = folder / name  # type: ignore[operator]
        if path.is_file():
            return _file(one, path)
    if not one.built_in:
        where = "choose the folder it lies in" if folder is None else "put it into the folder"
        raise Error(f"{one.name} does not come with the program; {where} as {one.files[0]}")
    like = labelled.named(one.built_in)
    return replace(like, name=one.name, about=f"{like.about} (built in: {one.built_in})")


def _file(one: PaperSet, path: Path) -> LabelledSet:
    """Texts, labels and groups of a file in any of the forms the paper's code reads."""
    if path.stat().st_size > labelled.MAX_FILE:
        raise Error(f"{short(path.name)} is larger than {labelled.MAX_FILE // 1_000_000} MB")
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Error(f"{short(path.name)} is not UTF-8 text; save it as UTF-8") from None
    rows = _rows(path, content)
    text, label, group = (_named(rows, name, path) for name in one.columns)
    kept = [(row, _side(row.get(label))) for row in rows]
    # CommonClaim has a third label, "Neither", which the paper leaves out.
    kept = [
        (row, side) for row, side in kept if side is not None and str(row.get(text, "")).strip()
    ]
    if not kept:
        raise Error(f"{short(path.name)} has no rows whose {label!r} is true or false, 1 or 0")
    texts = [str(row[text]) for row, _ in kept]
    groups = tuple(str(row.get(group) or "") for row, _ in kept) if group else ()
    texts_once = {row: number for number, row in reversed(list(enumerate(texts)))}
    order = sorted(texts_once.values())
    made = of_labels(
        one.name,
        [texts[number] for number in order],
        [int(kept[number][1] or 0) for number in order],
        groups=tuple(groups[number] for number in order) if groups else (),
        source=f"own file {path.name}",
    )
    return replace(made, classes=one.classes)


def _rows(path: Path, content: str) -> list[Mapping[str, Any]]:
    name = path.name.lower()
    if name.endswith((".train", ".txt")):  # "0 text", a line each
        lines = [line.partition(" ") for line in content.splitlines() if line.strip()]
        return [{"label": label, "sentence": text} for label, _, text in lines]
    if name.endswith((".json", ".jsonl")):
        return _json(path, content)
    return csv_rows(content)


def _json(path: Path, content: str) -> list[Mapping[str, Any]]:
    """One object a line, or the examples of a task of BIG-bench and of the coin flips."""
    try:
        whole = json.loads(content)
    except ValueError:
        return json_rows(content)
    given = whole.get("examples") if isinstance(whole, dict) else whole
    if not isinstance(given, list) or not all(isinstance(row, dict) for row in given):
        raise Error(f"{short(path.name)} holds no list of examples")
    return [_example(row) for row in given]


def _example(row: Mapping[str, Any]) -> Mapping[str, Any]:
    scores = row.get("target_scores")
    if isinstance(scores, Mapping):  # BIG-bench
        return {"statement": row.get("input", ""), "label": scores.get("Yes")}
    if "question" in row and "statement" not in row:
        return {**row, "statement": row["question"], "label": row.get("answer")}
    return row


_OTHER: dict[str, tuple[str, ...]] = {
    "statement": ("question", "text"),
    "examples": ("statement", "text"),
    "sentence": ("text",),
    "review": ("text",),
    "sentiment": ("label",),
    "headline": ("text",),
    "is_sarcastic": ("label",),
    "HS": ("label",),
    "city": ("group",),
    "subject": ("group",),
}


def _named(rows: list[Mapping[str, Any]], name: str, path: Path) -> str:
    """The column of that name, or one that is as good; groups may be missing."""
    if not name:
        return ""
    there = {key for row in rows[:20] for key in row}
    for each in (name, *_OTHER.get(name, ())):
        if each in there:
            return each
    if name in ("city", "subject"):
        return ""
    raise Error(
        f"{short(path.name)} has no column {name!r}; it has "
        f"{', '.join(sorted(map(str, there)))[:80]}"
    )


def _side(value: Any) -> int | None:
    """1 for the class that counts, 0 for the other, None for anything else."""
    said = str(value).strip().lower().removesuffix(".0")
    return 1 if said in _TRUE else 0 if said in _FALSE else None


def few(one: LabelledSet, most: int, seed: int) -> LabelledSet:
    """At most so many texts, as many of each class; whole groups where there are any."""
    if len(one.texts) <= most:
        return one
    rng = random.Random(seed)
    units: dict[str, list[int]] = {}
    for number in range(len(one.texts)):
        units.setdefault(one.groups[number] if one.groups else str(number), []).append(number)
    names = list(units)
    rng.shuffle(names)
    each = most // len(one.classes)
    left = dict.fromkeys(range(len(one.classes)), each)
    kept: list[int] = []
    for name in names:
        for number in units[name]:
            if left[one.labels[number]] > 0:
                left[one.labels[number]] -= 1
                kept.append(number)
    kept.sort()

    def pick(column: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(column[number] for number in kept) if column else ()

    return replace(
        one,
        texts=pick(one.texts),
        labels=pick(one.labels),
        groups=pick(one.groups),
        words=pick(one.words),
        about=f"{one.about.rstrip('.')}. {len(kept):,} of {len(one.texts):,} texts".lstrip(". "),
    )
