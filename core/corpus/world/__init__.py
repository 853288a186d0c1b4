"""The concept world: a small world of generated English whose every concept is known and labelled.

The embedded models were trained on it, so a method that looks for concepts in them can be scored
against truth. `generate` makes documents, `concepts` describes everything that was planted.
Standard library only; the same seed gives the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from random import Random

from core.corpus.world import counting, facts, grammar, memory, telling
from core.corpus.world.document import Document, Segment, Span

__all__ = ["FAMILIES", "Document", "Segment", "Span", "documents", "generate"]

# Family, how often it is drawn.
FAMILIES: dict[str, tuple[Callable[[Random, Document], None], int]] = {
    "is-a": (facts.is_a, 9),
    "truth": (facts.truth, 12),
    "geography": (facts.geography, 9),
    "gender": (grammar.gender, 6),
    "opposites": (grammar.opposites, 5),
    "tense": (grammar.tense, 5),
    "number": (grammar.number, 5),
    "sequences": (counting.sequences, 8),
    "calendar": (counting.calendar, 13),
    "clock": (counting.clock, 4),
    "arithmetic": (counting.arithmetic, 8),
    "recall": (memory.recall, 12),
    "two hops": (memory.two_hops, 9),
    "reviews": (telling.reviews, 9),
    "stories": (telling.stories, 13),
    "scenes": (telling.scenes, 4),
    "senses": (telling.senses, 3),
    "languages": (grammar.languages, 8),
    "register": (grammar.register, 3),
    "questions": (telling.questions, 7),
    "code": (memory.code, 3),
}
CHAINED = 0.35  # share of documents that continue with a second family
HELD_OUT_SEEDS = (
    1_000_000  # training uses smaller seeds only; tests and measurements use these and above
)


def document(rng: Random) -> Document:
    """One document of one family, sometimes two; never empty."""
    made = Document()
    names, (makers, weights) = tuple(FAMILIES), zip(*FAMILIES.values(), strict=True)
    count = 2 if rng.random() < CHAINED else 1
    while len(made.families) < count:
        choice = rng.choices(range(len(names)), weights)[0]
        before = len(made.segments)
        makers[choice](rng, made)
        if len(made.segments) > before:
            made.families.append(names[choice])
    return made


def documents(seed: int) -> Iterator[Document]:
    """An endless stream of documents; the seed decides all of them."""
    rng = Random(seed)
    while True:
        yield document(rng)


def generate(seed: int, n: int) -> list[Document]:
    """The first n documents of the seed's stream."""
    return list(islice(documents(seed), n))
