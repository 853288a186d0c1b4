"""The words of a set of concepts as points: each once, with its class, the pairs, and a sample."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from core.spec.concept_set import ConceptSet, Group

MOST_CLASSES = 60  # beyond it the smallest groups are merged into those above them
FIRST, SECOND = "first", "second"


@dataclass(frozen=True)
class Points:
    """words, each once; group [word] number of its class; names of the classes; pairs [pair, 2]
    numbers of words that belong together (halves of a pair, neighbours in a cycle or line);
    notes: what was merged or left out.
    """

    words: tuple[str, ...]
    group: np.ndarray
    names: tuple[str, ...]
    pairs: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def labelled(self) -> bool:
        """Are there at least two classes of two words?"""
        counts = np.bincount(self.group, minlength=len(self.names))
        return int((counts >= 2).sum()) >= 2


def points(one: ConceptSet) -> Points:
    """Words with the first class they are named in; classes of pairs are their halves."""
    if one.kind == "pairs":
        return _of_pairs(one)
    merged, notes = _merged(one)
    number: dict[str, int] = {}
    names: list[str] = []
    for group in merged:
        if group.items:
            for word in group.items:
                number.setdefault(word, len(names))
            names.append(group.name)
    words = tuple(number)
    place = {word: at for at, word in enumerate(words)}
    links: list[tuple[int, int]] = []
    if one.kind in ("cycle", "line"):
        ring = one.groups[0].items
        links = [(place[a], place[b]) for a, b in pairwise(ring)]
        if one.kind == "cycle" and len(ring) > 2:
            links.append((place[ring[-1]], place[ring[0]]))
    twice = sum(len(group.items) for group in one.groups) - len(words)
    if twice:
        notes = (*notes, f"{twice} words stand in two groups and are drawn in the first")
    return Points(
        words, np.array([number[word] for word in words]), tuple(names), _links(links), notes
    )


def _of_pairs(one: ConceptSet) -> Points:
    number: dict[str, int] = {}
    names: list[str] = []
    for group in one.groups:
        for half, words in ((FIRST, group.items), (SECOND, group.targets)):
            for word in words:
                number.setdefault(word, len(names))
            names.append(f"{group.name}, {half}" if len(one.groups) > 1 else half)
    words_ = tuple(number)
    place = {word: at for at, word in enumerate(words_)}
    links = [(place[a], place[b]) for _, a, b in one.pairs()]
    return Points(words_, np.array([number[word] for word in words_]), tuple(names), _links(links))


def _links(links: list[tuple[int, int]]) -> np.ndarray:
    return np.array(links, dtype=np.int32).reshape(-1, 2)


def _merged(one: ConceptSet) -> tuple[list[Group], tuple[str, ...]]:
    """The groups with words, the smallest merged into those above until few enough are left."""
    groups = {group.name: group for group in one.groups}
    while sum(bool(group.items) for group in groups.values()) > MOST_CLASSES:
        parents = {group.parent for group in groups.values()}
        leaves = [g for g in groups.values() if g.items and g.parent and g.name not in parents]
        if not leaves:
            break
        small = min(leaves, key=lambda group: len(group.items))
        above = groups[small.parent]
        words = tuple(dict.fromkeys((*above.items, *small.items)))
        groups[above.name] = replace(above, items=words)
        del groups[small.name]
    left = len(one.groups) - len(groups)
    if left:
        return list(groups.values()), (f"{left} small groups are drawn as the ones above them",)
    return list(groups.values()), ()


def sample(given: Points, most: int, seed: int) -> Points:
    """At most so many of the words, the same share of every class, whatever their order."""
    if len(given.words) <= most:
        return given
    rng = np.random.default_rng(seed)
    order = np.array(sorted(range(len(given.words)), key=given.words.__getitem__))
    keys = np.empty(len(order))
    keys[order] = rng.random(len(order))
    rank = np.empty(len(order))
    for number in np.unique(given.group):
        mine = np.flatnonzero(given.group == number)
        rank[mine[np.argsort(keys[mine])]] = (np.arange(len(mine)) + 0.5) / len(mine)
    chosen = np.sort(np.argsort(rank, kind="stable")[:most])
    note = (
        f"{most:,} of {len(given.words):,} words are drawn, the same share of every class "
        f"(seed {seed})"
    )
    return replace(only(given, chosen), notes=(*given.notes, note))


def only(given: Points, chosen: np.ndarray) -> Points:
    """The words of these numbers, and the pairs that are left whole."""
    new = np.full(len(given.words), -1, dtype=np.int32)
    new[chosen] = np.arange(len(chosen))
    links = new[given.pairs] if len(given.pairs) else given.pairs
    return replace(
        given,
        words=tuple(given.words[place] for place in chosen),
        group=given.group[chosen],
        pairs=links[(links >= 0).all(axis=1)],
    )
