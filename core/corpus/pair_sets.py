"""Minimal pairs of the concept world. Both texts of a pair end alike, so that the same words can
be scored after a right and a wrong beginning.

Every word stands as often in acceptable texts as in unacceptable ones, so that neither a word nor
a probe that knows it again decides. After XCOMPS (He et al. 2025): negatives that are near or far.
"""

from collections.abc import Iterator, Sequence
from random import Random

from core.corpus.world import HELD_OUT_SEEDS
from core.corpus.world.facts import kind_phrase
from core.corpus.world.words import (
    ASPECTS,
    BLAME,
    COUNTRIES,
    FEMALE_NAMES,
    KINDS,
    MALE_NAMES,
    MASS_NOUNS,
    NOUNS,
    PRAISE,
    REVIEWED,
    TOPICS,
    UPPER,
    article,
    capital,
    plural,
)
from core.spec.errors import Error
from core.spec.pairs import PAIR_SETS, PairSet

# Acceptable, unacceptable, group, how they differ.
Row = tuple[str, str, str, str]
_ASKED = "{} True or false? It is"
# Kinds whose words take one another's place, word by word: two near pairs and two far ones, so that
# four words that stand at one place of their kinds meet nothing but one another.
_FAMILIES = (
    ("mammal", "bird", "tool", "garment"),
    ("fruit", "vegetable", "vehicle", "furniture"),
    ("fish", "reptile", "tree", "flower"),
)


def named(name: str) -> PairSet:
    """The pairs of this name. Raises `Error` naming those there are."""
    if name not in PAIR_SETS:
        raise Error(f"no minimal pairs {name[:40]!r}; there are {', '.join(PAIR_SETS)}")
    rows = list(dict.fromkeys(_ROWS[name]()))
    good, bad, groups, kinds = zip(*rows, strict=True)
    prompt = _ASKED if name in ("kinds", "capitals") else ""
    return PairSet(name, good, bad, groups, kinds, prompt, about=PAIR_SETS[name])


def _kinds() -> Iterator[Row]:
    """Words of two kinds, crosswise: each is once right and once wrong under either kind."""
    for family, (one, two, three, four) in enumerate(_FAMILIES):
        crossed = ((one, two), (three, four), (one, three), (two, four))
        for kind, strange in (*crossed, *((there, here) for here, there in crossed)):
            near = "near" if UPPER[kind] == UPPER[strange] else "far"
            for place, (right, wrong) in enumerate(
                zip(_plain(kind), _plain(strange), strict=False)
            ):
                yield (
                    f"{capital(article(right))} {right} is {kind_phrase(kind)}.",
                    f"{capital(article(wrong))} {wrong} is {kind_phrase(kind)}.",
                    f"{family} {place}",
                    near,
                )


def _plain(kind: str) -> list[str]:
    return [word for word in KINDS[kind] if word not in MASS_NOUNS]


def _capitals() -> Iterator[Row]:
    """Neighbours in a shuffled list, crosswise; near: on one continent."""
    order = list(COUNTRIES)
    Random(f"{HELD_OUT_SEEDS}: pairs: capitals").shuffle(order)
    for number in range(0, len(order) - 1, 2):
        for one, other in ((order[number], order[number + 1]), (order[number + 1], order[number])):
            near = "near" if one[3] == other[3] else "far"
            for frame in ("The capital of {} is {}.", "The main city of {} is {}."):
                yield (
                    frame.format(one[0], one[1]),
                    frame.format(other[0], one[1]),
                    str(number),
                    near,
                )


def _agreement() -> Iterator[Row]:
    for word in NOUNS:
        many = plural(word)
        if many == word or word in MASS_NOUNS:
            continue
        for end in ("here.", "red."):
            yield f"The {word} is {end}", f"The {many} is {end}", word, "one"
            yield f"The {many} are {end}", f"The {word} are {end}", word, "many"


def _gender() -> Iterator[Row]:
    rng = Random(f"{HELD_OUT_SEEDS}: pairs: gender")
    for he, she in zip(MALE_NAMES, FEMALE_NAMES, strict=True):
        for topic in rng.sample(tuple(TOPICS), 6):
            frame = "{} went to the " + topic + ". Then {}"
            yield frame.format(he, "he"), frame.format(she, "he"), he, "he"
            yield frame.format(she, "she"), frame.format(he, "she"), he, "she"


def _verdicts() -> Iterator[Row]:
    rng = Random(f"{HELD_OUT_SEEDS}: pairs: verdicts")
    for bad, good in zip(BLAME, PRAISE, strict=True):
        for aspect, thing in zip(rng.sample(ASPECTS, 6), rng.sample(REVIEWED, 6), strict=True):
            for turned in ("", "not "):
                texts = [
                    f"Review of the {thing}. The {aspect} was {turned}{word}. Overall, it was"
                    for word in (good, bad)
                ]
                kind = "with not" if turned else "plain"
                for right, verdict in zip(
                    _order(texts, bool(turned)), ("good.", "bad."), strict=True
                ):
                    wrong = next(text for text in texts if text != right)
                    yield f"{right} {verdict}", f"{wrong} {verdict}", good, kind


def _order(texts: Sequence[str], turned: bool) -> list[str]:
    """The text that is followed by "good", then the one by "bad"."""
    return list(reversed(texts)) if turned else list(texts)


_ROWS = {
    "kinds": _kinds,
    "capitals": _capitals,
    "agreement": _agreement,
    "gender": _gender,
    "verdicts": _verdicts,
}
