"""A concept as plain data: a name, texts that show it, texts that do not, their origin."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from core.spec.errors import Error

MAX_NAME = 100  # characters
MAX_TEXT = 4_000  # characters of one text
MAX_TEXTS = 5_000  # of one side
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Concept:
    """What a person means: words or texts that have it beside words or texts that have not.

    `paired` texts belong together line by line and differ in the concept alone. Without
    `negative` texts the concept is told from text of any kind. `about` says in one sentence what
    the two sides are, `source` where the texts come from and under which licence.
    """

    name: str
    positive: tuple[str, ...]
    negative: tuple[str, ...] = ()
    paired: bool = False
    about: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        for side in ("positive", "negative"):
            object.__setattr__(self, side, _texts(getattr(self, side), side))
        if not isinstance(self.name, str) or not self.name.strip():
            raise Error("a concept needs a name")
        if len(self.name) > MAX_NAME:
            raise Error(f"a concept's name has at most {MAX_NAME} characters, not {len(self.name)}")
        _whole(self.name, "the name of the concept")
        if not self.positive:
            raise Error(f"{_short(self.name)}: no positive texts; give at least two that show it")
        _check_sides(self)

    def __str__(self) -> str:
        return self.name


def _texts(given: Any, side: str) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise Error(f"the {side} texts are a list of texts, one each")
    texts = tuple(given)
    if len(texts) > MAX_TEXTS:
        raise Error(f"{len(texts):,} {side} texts; a concept holds at most {MAX_TEXTS:,} a side")
    for number, text in enumerate(texts, start=1):
        if not isinstance(text, str):
            raise Error(f"{side} text {number} is a {type(text).__name__}; texts are expected")
        if not text.strip():
            raise Error(f"{side} text {number} is empty; remove it or write something")
        if len(text) > MAX_TEXT:
            raise Error(
                f"{side} text {number} has {len(text):,} characters; at most {MAX_TEXT:,} are "
                "read, so shorten it"
            )
        _whole(text, f"{side} text {number}")
    return texts


def _whole(text: str, what: str) -> None:
    """Refuse half of a surrogate pair: no tokenizer and no browser takes it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Error(f"{what} holds half a character (a lone surrogate); repair it") from None


def _check_sides(concept: Concept) -> None:
    """Pairs have two different halves; without pairs no text stands twice or on both sides."""
    name, positive, negative = _short(concept.name), concept.positive, concept.negative
    if not concept.paired:
        for side, texts in (("positive", positive), ("negative", negative)):
            if twice := _twice(texts):
                raise Error(f"{name}: {_short(twice)} stands twice among the {side} texts")
        if both := next((text for text in positive if text in set(negative)), ""):
            raise Error(
                f"{name}: {_short(both)} stands on both sides, so it tells nothing; remove it"
            )
        return
    if len(positive) != len(negative):
        raise Error(
            f"{name}: {len(positive)} positive and {len(negative)} negative texts make no pairs; "
            "write as many lines on both sides"
        )
    pairs = list(zip(positive, negative, strict=True))
    if same := next((one for one, other in pairs if one == other), ""):
        raise Error(f"{name}: both halves of a pair are {_short(same)}; they have to differ")
    if double := _twice(pairs):
        raise Error(f"{name}: the pair {_short(double[0])} / {_short(double[1])} stands twice")


def _twice(items: Iterable[Any]) -> Any:
    seen: set[Any] = set()
    for item in items:
        if item in seen:
            return item
        seen.add(item)
    return None


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


def plain(concept: Concept) -> dict[str, Any]:
    """A JSON-ready dictionary without what is at its default; `from_plain` reads it back."""
    found = {field.name: getattr(concept, field.name) for field in fields(concept)}
    return {name: value for name, value in found.items() if value or name == "name"}


def from_plain(given: Any) -> Concept:
    """A concept from a `Concept`, a table of its fields, or (field, value) pairs of a request."""
    if isinstance(given, Concept):
        return given
    try:
        table = dict(given)
    except (TypeError, ValueError):
        raise Error(f"not a concept: {str(given)[:80]!r}") from None
    if not isinstance(given, Mapping) and not all(isinstance(name, str) for name in table):
        raise Error(f"not a concept: {str(given)[:80]!r}")
    known = {field.name for field in fields(Concept)}
    if strange := sorted(set(map(str, table)) - known):
        raise Error(f"a concept has no {strange[0][:_SHOWN]!r}; it has {', '.join(sorted(known))}")
    if missing := {"name", "positive"} - set(table):
        raise Error(f"a concept needs {' and '.join(sorted(missing))}")
    return Concept(**{**table, "paired": bool(table.get("paired", False))})


def lines(text: str) -> tuple[str, ...]:
    """The texts of a text area: one a line, without empty ones and outer blanks."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())
