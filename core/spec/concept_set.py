"""A set of concepts as plain data: groups of words or texts, or of pairs, with their tree or order.

Geometry is about many concepts at once: categories and what is above them, contrasts, relations,
cycles. One form holds them all; `kind` says how its groups are meant.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.spec.concept import Concept
from core.spec.concept import plain as plain_concept
from core.spec.errors import Error

KINDS = ("categories", "pairs", "cycle", "line")
MAX_NAME = 100  # characters
MAX_ITEM = 4_000  # characters of one word or text
MAX_ITEMS = 20_000
MAX_GROUPS = 3_000
SLOT = "{}"  # where the item stands in a context
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Group:
    """One concept of a set.

    items    its words or texts; in a set of pairs the first halves
    targets  the second halves, line by line; empty in other sets
    parent   the group above it, "" for none; a parent may have no items of its own
    """

    name: str
    items: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    parent: str = ""


@dataclass(frozen=True, slots=True)
class ConceptSet:
    """Groups of items that are asked about together.

    kind      "categories": every group is a class of words, with groups above it where there are;
              "pairs": every group is a contrast or a relation; "cycle": one group whose items
              follow each other and begin again; "line": one group in order, without beginning again
    contexts  texts with {} where an item stands, at the end of each; states are averaged over
              them. None: the neutral ones of the analysis
    model     the embedded model it was planted in, "" for any model
    about, source, licence  one sentence each
    """

    name: str
    kind: str
    groups: tuple[Group, ...]
    contexts: tuple[str, ...] = ()
    model: str = ""
    about: str = ""
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise Error("a set of concepts needs a name")
        if len(self.name) > MAX_NAME:
            raise Error(
                f"the name of a set has at most {MAX_NAME} characters, not {len(self.name)}"
            )
        if self.kind not in KINDS:
            raise Error(f"a set is one of {', '.join(KINDS)}, not {str(self.kind)[:_SHOWN]!r}")
        object.__setattr__(self, "groups", tuple(_group(one) for one in self.groups))
        object.__setattr__(self, "contexts", tuple(self.contexts))
        _check(self)

    def __str__(self) -> str:
        return self.name

    @property
    def items(self) -> tuple[str, ...]:
        """Every word or text of the set, both halves of pairs, each once, in order."""
        each = (word for group in self.groups for word in (*group.items, *group.targets))
        return tuple(dict.fromkeys(each))

    @property
    def n_items(self) -> int:
        return len(self.items)

    def group(self, name: str) -> Group:
        """The group of this name. Raises `Error` naming some of those there are."""
        for one in self.groups:
            if one.name == name:
                return one
        some = ", ".join(one.name for one in self.groups[:6])
        raise Error(f"{short(self.name)} has no group {short(name)}; it has {some}")

    def below(self, name: str) -> tuple[str, ...]:
        """The items of a group and of all groups below it, each once."""
        self.group(name)
        under = {name}
        grown = True
        while grown:
            more = {one.name for one in self.groups if one.parent in under} - under
            under |= more
            grown = bool(more)
        words = (word for one in self.groups if one.name in under for word in one.items)
        return tuple(dict.fromkeys(words))

    def pairs(self) -> Iterator[tuple[str, str, str]]:
        """(group, first half, second half) of every pair."""
        for one in self.groups:
            for item, target in zip(one.items, one.targets, strict=True):
                yield one.name, item, target


def _group(given: Any) -> Group:
    """A group from a `Group` or a table of its fields."""
    if isinstance(given, Group):
        return Group(given.name, tuple(given.items), tuple(given.targets), given.parent)
    try:
        table = dict(given)
        found = Group(**table)
        return Group(found.name, _texts(found.items), _texts(found.targets), found.parent)
    except (TypeError, ValueError):
        raise Error(f"not a group of a set of concepts: {str(given)[:80]!r}") from None


def _texts(given: Any) -> tuple[str, ...]:
    if isinstance(given, str):
        raise TypeError
    return tuple(given)


def _check(one: ConceptSet) -> None:
    name = short(one.name)
    if not one.groups:
        raise Error(f"{name} has no concept in it; write at least one group of words")
    if len(one.groups) > MAX_GROUPS:
        raise Error(f"{name} has {len(one.groups):,} groups; at most {MAX_GROUPS:,} are read")
    if twice := _twice([group.name for group in one.groups]):
        raise Error(f"{name}: two groups are named {short(twice)}; give each its own name")
    if sum(len(group.items) + len(group.targets) for group in one.groups) > MAX_ITEMS:
        raise Error(f"{name} has more than {MAX_ITEMS:,} words or texts; keep fewer")
    known = {group.name for group in one.groups}
    for group in one.groups:
        _check_group(one, group, known)
    _check_tree(one)
    if one.kind in ("cycle", "line") and len(one.groups) != 1:
        raise Error(f"{name} is a {one.kind}, so it has one group in order, not {len(one.groups)}")
    for context in one.contexts:
        if context.count(SLOT) != 1 or not context.endswith(SLOT):
            raise Error(
                f"{name}: the context {short(context)} does not end with {SLOT}, the place of "
                "the word"
            )


def _check_group(one: ConceptSet, group: Group, known: set[str]) -> None:
    name = f"{short(one.name)}, {short(group.name)}"
    if not isinstance(group.name, str) or not group.name.strip():
        raise Error(f"{short(one.name)}: every group needs a name")
    if not group.items and group.name not in {other.parent for other in one.groups}:
        raise Error(f"{name} has no words; write at least two, or remove it")
    for text in (*group.items, *group.targets):
        if not isinstance(text, str) or not text.strip():
            raise Error(f"{name}: one entry is empty or no text; remove it or write something")
        if len(text) > MAX_ITEM:
            raise Error(
                f"{name}: an entry has {len(text):,} characters; at most {MAX_ITEM:,} are read"
            )
        if any("\ud800" <= sign <= "\udfff" for sign in text):
            raise Error(f"{name}: an entry holds half a character (a lone surrogate); repair it")
    if one.kind == "pairs":
        _check_pairs(name, group)
    elif group.targets:
        raise Error(f"{name} has second halves, so the set is one of pairs, not {one.kind}")
    elif twice := _twice(group.items):
        raise Error(f"{name}: {short(twice)} stands twice; remove one")
    if group.parent and group.parent not in known:
        raise Error(f"{name} lies below {short(group.parent)}, which is no group of the set")


def _check_pairs(name: str, group: Group) -> None:
    if len(group.items) != len(group.targets):
        raise Error(
            f"{name}: {len(group.items)} first and {len(group.targets)} second halves make no "
            "pairs; write as many on both sides"
        )
    for item, target in zip(group.items, group.targets, strict=True):
        if item == target:
            raise Error(f"{name}: both halves of a pair are {short(item)}; they have to differ")
    if twice := _twice(list(zip(group.items, group.targets, strict=True))):
        raise Error(f"{name}: the pair {short(twice[0])} / {short(twice[1])} stands twice")


def _check_tree(one: ConceptSet) -> None:
    above = {group.name: group.parent for group in one.groups}
    for start in above:
        at, seen = start, {start}
        while at := above[at]:
            if at in seen:
                raise Error(f"{short(one.name)}: {short(start)} lies below itself; cut the circle")
            seen.add(at)


def _twice(items: Iterable[Any]) -> Any:
    seen: set[Any] = set()
    for item in items:
        if item in seen:
            return item
        seen.add(item)
    return None


def short(text: Any) -> str:
    text = str(text)
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


def plain(one: ConceptSet) -> dict[str, Any]:
    """A JSON-ready dictionary without what is at its default; `from_plain` reads it back."""
    table = {name: value for name, value in asdict(one).items() if value}
    table["groups"] = [
        {key: list(value) if isinstance(value, tuple) else value for key, value in group.items()
         if value or key == "name"}
        for group in table["groups"]
    ]  # fmt: skip
    if "contexts" in table:
        table["contexts"] = list(table["contexts"])
    return table


def from_plain(given: Any) -> ConceptSet:
    """A set from a `ConceptSet`, a `Concept`, a table of its fields, or (field, value) pairs."""
    if isinstance(given, ConceptSet):
        return given
    if isinstance(given, Concept):
        return of_concept(given)
    try:
        table = dict(given)
    except (TypeError, ValueError):
        raise Error(f"not a set of concepts: {str(given)[:80]!r}") from None
    if "positive" in table:
        return of_concept(Concept(**{**table, "paired": bool(table.get("paired", False))}))
    fields = set(ConceptSet.__slots__)
    if not isinstance(given, Mapping) and not all(isinstance(name, str) for name in table):
        raise Error(f"not a set of concepts: {str(given)[:80]!r}")
    if strange := sorted(set(map(str, table)) - fields):
        raise Error(f"a set of concepts has no {short(strange[0])}; it has {', '.join(fields)}")
    if missing := {"name", "kind", "groups"} - set(table):
        raise Error(f"a set of concepts needs {' and '.join(sorted(missing))}")
    return ConceptSet(**table)


def of_concept(concept: Concept) -> ConceptSet:
    """A concept as a set: its pairs, or its two sides as two groups."""
    if concept.paired:
        groups = [Group(concept.name, concept.positive, concept.negative)]
        kind = "pairs"
    else:
        groups = [Group(concept.name, concept.positive)]
        if concept.negative:
            groups.append(Group(f"not {concept.name}"[:MAX_NAME], concept.negative))
        kind = "categories"
    return ConceptSet(concept.name, kind, tuple(groups), about=concept.about, source=concept.source)


def of_words(name: str, words: Sequence[str], kind: str = "categories") -> ConceptSet:
    """One group of words; in order, where kind is "cycle" or "line"."""
    return ConceptSet(name, kind, (Group(name, tuple(words)),))


def told(value: Any) -> Any:
    """An option as plain data: concepts and sets of them, alone or in a list, by their fields."""
    if isinstance(value, Concept):
        return plain_concept(value)
    if isinstance(value, ConceptSet):
        return plain(value)
    if isinstance(value, list | tuple) and any(isinstance(x, Concept | ConceptSet) for x in value):
        return [told(one) for one in value]
    return value
