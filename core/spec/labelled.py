"""A labelled set as plain data: texts, the class of each, and what must not be split."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from core.spec.errors import Error

MAX_NAME = 100  # characters
MAX_TEXT = 20_000  # characters of one text
MAX_TEXTS = 20_000
MAX_CLASSES = 50
LEAST = 2  # texts of a class: one to learn from, one to be asked about
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Texts of two or more classes.

    labels    the number of each text's class among `classes`; of two classes the second is the
              one that counts as positive
    groups    one per text, or none: texts of one group stay on one side of every split
    words     one per text, or none: the word a text is read at (position "word")
    position  where its authors mean it to be read: "last", "mean", "word", "-2", ...
    topic     what kind of knowledge it asks for; sets of one topic stand together in figures
    level     "easy", "medium", "hard", or "" where nobody knows
    model     the embedded model it was planted in, "" for any model
    about, source, licence  one sentence each
    """

    name: str
    texts: tuple[str, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]
    groups: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    position: str = "last"
    topic: str = ""
    level: str = ""
    model: str = ""
    about: str = ""
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        for name in ("texts", "labels", "classes", "groups", "words"):
            object.__setattr__(self, name, _listed(getattr(self, name), name))
        if not isinstance(self.name, str) or not self.name.strip():
            raise Error("a labelled set needs a name")
        if len(self.name) > MAX_NAME:
            raise Error(
                f"the name of a labelled set has at most {MAX_NAME} characters, "
                f"not {len(self.name)}"
            )
        _check_texts(self)
        _check_labels(self)

    def __str__(self) -> str:
        return self.name

    @property
    def counts(self) -> tuple[int, ...]:
        """Texts of each class."""
        found = Counter(self.labels)
        return tuple(found[number] for number in range(len(self.classes)))


def _listed(given: Any, what: str) -> tuple[Any, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise Error(f"the {what} of a labelled set are a list")
    return tuple(given)


def _check_texts(one: LabelledSet) -> None:
    name = short(one.name)
    if len(one.texts) > MAX_TEXTS:
        raise Error(f"{name} has {len(one.texts):,} texts; at most {MAX_TEXTS:,} are read")
    for number, text in enumerate(one.texts, start=1):
        if not isinstance(text, str):
            raise Error(f"{name}: text {number} is a {type(text).__name__}, not a text")
        if not text.strip():
            raise Error(f"{name}: text {number} is empty; remove it or write something")
        if len(text) > MAX_TEXT:
            raise Error(
                f"{name}: text {number} has {len(text):,} characters; at most {MAX_TEXT:,} are "
                "read, so shorten it"
            )
    for what in ("groups", "words"):
        given = getattr(one, what)
        if given and len(given) != len(one.texts):
            raise Error(
                f"{name} has {len(one.texts):,} texts and {len(given):,} {what}; give one each"
            )
        if not all(isinstance(value, str) for value in given):
            raise Error(f"{name}: the {what} are texts")
    for number, (text, word) in enumerate(zip(one.texts, one.words, strict=False), start=1):
        if not word or word not in text:
            raise Error(f"{name}: text {number} does not hold its word {short(word)}")


def _check_labels(one: LabelledSet) -> None:
    name = short(one.name)
    if len(one.labels) != len(one.texts):
        raise Error(
            f"{name} has {len(one.texts):,} texts and {len(one.labels):,} labels; give one each"
        )
    if not all(isinstance(label, str) and label for label in one.classes):
        raise Error(f"{name}: every class needs a name")
    if len(set(one.classes)) != len(one.classes):
        raise Error(f"{name}: two classes have the same name")
    if len(one.classes) > MAX_CLASSES:
        raise Error(
            f"{name} has {len(one.classes):,} classes; at most {MAX_CLASSES} are told apart, so "
            "check that the labels are not free text"
        )
    known = range(len(one.classes))
    if not all(type(label) is int and label in known for label in one.labels):
        raise Error(f"{name}: labels are numbers of classes, 0 to {len(one.classes) - 1}")
    if len(one.classes) < 2 or len(set(one.labels)) < 2:
        only = one.classes[one.labels[0]] if one.labels else "none"
        raise Error(
            f"{name} has one class only ({short(only)}); a probe needs texts of at least two"
        )
    for label, n in zip(one.classes, one.counts, strict=True):
        if n < LEAST:
            raise Error(
                f"{name}: class {short(label)} has {n} text{'' if n == 1 else 's'}; every class "
                f"needs at least {LEAST}"
            )


def short(text: str) -> str:
    """The text in quotes, cut for a sentence."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


def plain(one: LabelledSet) -> dict[str, Any]:
    """A JSON-ready dictionary without what is at its default; `from_plain` reads it back."""
    found = {field.name: getattr(one, field.name) for field in fields(one)}
    return {name: value for name, value in found.items() if value}


def from_plain(given: Any) -> LabelledSet:
    """A set from a `LabelledSet`, a table of its fields, or (field, value) pairs of a request."""
    if isinstance(given, LabelledSet):
        return given
    try:
        table = dict(given)
    except (TypeError, ValueError):
        raise Error(f"not a labelled set: {str(given)[:80]!r}") from None
    known = {field.name for field in fields(LabelledSet)}
    if strange := sorted(set(map(str, table)) - known):
        raise Error(
            f"a labelled set has no {strange[0][:_SHOWN]!r}; it has {', '.join(sorted(known))}"
        )
    if missing := {"name", "texts", "labels", "classes"} - set(table):
        raise Error(f"a labelled set needs {' and '.join(sorted(missing))}")
    return LabelledSet(**table)


def of_labels(name: str, texts: Sequence[str], labels: Sequence[Any], **more: Any) -> LabelledSet:
    """A set whose labels are whatever they are called: numbers, texts or booleans.

    The classes are the labels in order: numbers by size, false before true, texts by the alphabet.
    """
    named = [_label(value, number) for number, value in enumerate(labels, start=1)]
    classes = sorted(set(named), key=_order)
    place = {label: number for number, label in enumerate(classes)}
    return LabelledSet(
        name, tuple(texts), tuple(place[label] for label in named), tuple(classes), **more
    )


def _label(value: Any, number: int) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip() if isinstance(value, str | int | float) else ""
    if not text or text.lower() == "nan":
        raise Error(f"text {number} has no label")
    return text


def _order(label: str) -> tuple[float, str]:
    try:
        return float(label), label
    except ValueError:
        return (float("inf"), label.lower())


def together(one: LabelledSet) -> tuple[int, ...]:
    """The number of each text's group: texts that are equal are never in two of them.

    Without groups every different text is one of its own.
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for number, text in enumerate(one.texts):
        key = f"g{one.groups[number]}" if one.groups else f"t{text}"
        parent[root(f"t{text}")] = root(key)
    roots = [root(f"t{text}") for text in one.texts]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(roots))}
    return tuple(numbers[key] for key in roots)


def copies(one: LabelledSet) -> tuple[str, ...]:
    """What is to be said about texts that stand more than once: one sentence or none."""
    n = len(one.texts) - len(set(one.texts))
    if not n:
        return ()
    return (
        f"{n:,} text{' is a copy' if n == 1 else 's are copies'} of another; copies stay on one "
        "side of every split",
    )


def remarks(one: LabelledSet) -> tuple[str, ...]:
    """What a reader of its scores should know: sentences about copies, groups and balance."""
    found = list(copies(one))
    classes: dict[str, set[int]] = {}
    for text, label in zip(one.texts, one.labels, strict=True):
        classes.setdefault(text, set()).add(label)
    torn = sum(len(labels) > 1 for labels in classes.values())
    if torn:
        found.append(
            f"{torn:,} text{' stands' if torn == 1 else 's stand'} under more than one label"
        )
    if not one.groups:
        found.append(
            "no groups are given: texts about one thing may lie on both sides of a split, and a "
            "probe may then only know them again"
        )
    least, most = min(one.counts), max(one.counts)
    if most > 3 * least:
        found.append(
            f"the classes are uneven ({least:,} to {most:,} texts): read the AUC, not the accuracy"
        )
    return tuple(found)
