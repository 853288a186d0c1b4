"""Words for the nodes of a graph that are single tokens of the model at hand."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass

from core.corpus.sequences import list_items, one_token
from core.home import ASSETS
from core.models.loaded import Loaded
from core.models.tokens import known_ids
from core.models.words import token_texts
from core.spec.errors import Error

FILE = ASSETS / "graphs" / "words.csv"
DAYS = "days"


@dataclass(frozen=True)
class NodeWords:
    """A word a node, each one token; `dropped` those that are none of this model."""

    words: tuple[str, ...]
    ids: tuple[int, ...]
    source: str
    dropped: tuple[str, ...]


def node_words(loaded: Loaded, n: int, given: Sequence[str] = (), days: bool = False) -> NodeWords:
    """n words as single tokens: those given, else the built-in ones, else the model's own.

    Raises `Error` naming those given that are no single token, or stand twice.
    """
    if given:
        return _given(loaded, given)
    if days:
        return _days(loaded)
    read = {word: one_token(loaded, word) for word in built_in()}
    kept = {word: token for word, token in read.items() if token is not None}
    dropped = tuple(word for word, token in read.items() if token is None)
    words = tuple(kept)[:n]
    source = "built in"
    if len(words) < n:
        more = _own(loaded, n - len(words), set(kept.values()))
        kept |= more
        words = (*words, *more)
        source = f"{n - len(more)} built in, {len(more)} of the model's own vocabulary"
    return NodeWords(words, tuple(kept[word] for word in words), source, dropped)


def built_in() -> tuple[str, ...]:
    """The list in its order, the first 16 as in the paper."""
    with FILE.open(encoding="utf-8", newline="") as lines:
        return tuple(row["word"] for row in csv.DictReader(lines))


def _given(loaded: Loaded, given: Sequence[str]) -> NodeWords:
    words = tuple(str(word).strip() for word in given)
    twice = sorted({word for word in words if words.count(word) > 1})
    if twice:
        raise Error(f"{twice[0][:40]!r} stands twice among the words; every node needs its own")
    read = [one_token(loaded, word) if word else None for word in words]
    bad = [word for word, token in zip(words, read, strict=True) if token is None]
    if bad:
        raise Error(
            f"{len(bad)} of the {len(words)} words are no single token of {loaded.name}: "
            f"{', '.join(repr(word[:20]) for word in bad[:6])}; choose others, or none for built-in"
        )
    ids = tuple(token for token in read if token is not None)
    if len(set(ids)) < len(ids):
        raise Error(f"two of the words are one and the same token of {loaded.name}; change one")
    return NodeWords(words, ids, "given", ())


def _days(loaded: Loaded) -> NodeWords:
    words = list_items(DAYS)
    read = [one_token(loaded, word) for word in words]
    bad = [word for word, token in zip(words, read, strict=True) if token is None]
    if bad:
        raise Error(
            f"{', '.join(bad)} {'is' if len(bad) == 1 else 'are'} no single token of "
            f"{loaded.name}, so its week cannot be walked; take the ring"
        )
    return NodeWords(words, tuple(int(token or 0) for token in read), "days of the week", ())


def _own(loaded: Loaded, n: int, taken: set[int]) -> dict[str, int]:
    """Tokens of the model that are words, with a blank in front and four letters if there are."""
    ids, texts = token_texts(loaded)
    found: dict[str, int] = {}
    used = set(taken)
    for least, blank in ((4, True), (4, False), (2, True), (1, False)):
        for token, text in zip(ids, texts, strict=True):
            word = text.strip()
            fits = word.isalpha() and len(word) >= least and text.startswith(" " if blank else "")
            free = token not in used and word not in found and token < known_ids(loaded)
            if fits and free and len(found) < n:
                found[word] = token
                used.add(token)
    if len(found) < n:
        raise Error(
            f"{loaded.name} has {len(found) + len(taken)} tokens that are words or letters, too "
            f"few for the graph; take a ring of fewer nodes"
        )
    return found
