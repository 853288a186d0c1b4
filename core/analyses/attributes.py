"""What is known of every word of a set: its group, what is above it, its length, its rank."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.analyses.item_states import ItemStates
from core.models.loaded import Loaded
from core.models.tokens import encode, special
from core.models.words import in_text
from core.spec.concept_set import SLOT, ConceptSet, short
from core.spec.errors import Error

THIRDS = ("low", "middle", "high")
OTHER = "(none)"
OF_CONTEXTS = ("context", "position")


def of_words(
    loaded: Loaded, given: ConceptSet, seen: ItemStates, own: Any = ()
) -> dict[str, tuple[str, ...]]:
    """Attribute -> value of every word that was read; those with one value only are left out.

    A word of several groups belongs to the first. "rank" is the third of the number of its first
    token: vocabularies number tokens about as often as they occur. own: attribute -> {word: value}.
    """
    words = seen.words
    groups: dict[str, str] = {}
    sides: dict[str, str] = {}
    for group in given.groups:
        for side, part in (("first", group.items), ("second", group.targets)):
            for word in part:
                groups.setdefault(word, group.name)
                sides.setdefault(word, side)
    above = {group.name: group.parent for group in given.groups}
    tops = {name: _top(above, name) for name in above}
    found = {
        "group": [groups[word] for word in words],
        "parent": [above[groups[word]] or groups[word] for word in words],
        "top": [tops[groups[word]] for word in words],
        "half of the pair": [sides[word] for word in words],
        "tokens": [str(min(int(n), 6)) for n in seen.n_pieces],
        "letters": _thirds([len(word) for word in words]),
        "rank": _thirds([(in_text(loaded, word) or (0,))[0] for word in words]),
        "capital": ["capital" if word[:1].isupper() else "small" for word in words],
    }
    found |= _own(own, words)
    texts = {name: tuple(values) for name, values in found.items() if len(set(values)) > 1}
    # One above the other may say the same: the parent of groups without any is the group.
    for name in ("top", "parent"):
        if name in texts and any(
            texts[name] == texts[other] for other in ("group", "parent") if other != name
            and other in texts
        ):  # fmt: skip
            texts.pop(name)
    return texts


def of_contexts(loaded: Loaded, seen: ItemStates) -> dict[str, tuple[str, ...]]:
    """Attribute -> value of every context: its text, and how many tokens stand before the word."""
    if len(seen.contexts) < 2:
        return {}
    before = []
    for context in seen.contexts:
        front = context[: -len(SLOT)].rstrip()
        ids = encode(loaded, front) if front else []
        before.append(str(sum(not marked for marked in special(loaded, ids))))
    found: dict[str, tuple[str, ...]] = {"context": seen.contexts}
    if 1 < len(set(before)) < len(before):
        found["position"] = tuple(before)
    return found


def numbers(values: Sequence[str]) -> np.ndarray:
    """Values as class numbers."""
    return np.unique(np.array(values, dtype=object).astype(str), return_inverse=True)[1]


def _top(above: dict[str, str], name: str) -> str:
    while above.get(name):
        name = above[name]
    return name


def _thirds(values: Sequence[int]) -> list[str]:
    """Low, middle, high; equal values stay together."""
    low, high = np.quantile(values, (1 / 3, 2 / 3), method="lower")
    return [THIRDS[int(value > low) + int(value > high)] for value in values]


def _own(given: Any, words: Sequence[str]) -> dict[str, list[str]]:
    """A visitor's attributes: a table, or its (field, value) pairs."""
    try:
        table = {name: dict(each) for name, each in dict(given).items()}
    except (TypeError, ValueError):
        raise Error(
            "attributes= is a table: the name of an attribute, and for it a value for every word"
        ) from None
    found = {}
    for name, each in table.items():
        if not isinstance(name, str) or not name.strip() or not isinstance(each, Mapping):
            raise Error(f"not the name of an attribute: {short(name)}")
        if not set(each) & set(words):
            raise Error(f"the attribute {short(name)} is given for none of the words of the set")
        found[name.strip()[:60]] = [str(each.get(word, OTHER))[:60] for word in words]
    return found
