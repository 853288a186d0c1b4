"""Tokens of one text in two tokenizations, brought together by the characters they cover."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from core.models.loaded import Loaded
from core.models.tokens import encode, pieces

Span = tuple[int, int]  # first character and the one behind the last; (0, 0) covers none


@dataclass(frozen=True)
class Segment:
    """A stretch of text at whose end both tokenizations have a token's end, shortest possible.

    here, there  the tokens of either side in it, in order; start, end: its characters
    """

    here: tuple[int, ...]
    there: tuple[int, ...]
    start: int
    end: int


def spans(loaded: Loaded, text: str) -> tuple[Span, ...]:
    """The characters of every token that `encode` gives; special tokens cover none.

    A tokenizer without offsets (written in Python) is followed piece by piece; a piece that does
    not stand in the text covers nothing.
    """
    ids = encode(loaded, text)
    if loaded.tokenizer.is_fast:
        found = loaded.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        return tuple((int(start), int(end)) for start, end in found)
    return _followed(text, pieces(loaded, ids))


def _followed(text: str, shown: Sequence[str]) -> tuple[Span, ...]:
    found, at = [], 0
    for piece in shown:
        word = piece.strip().removeprefix("##")
        start = text.find(word, at) if word else -1
        if start < 0:
            found.append((0, 0))
        else:
            at = start + len(word)
            found.append((start, at))
    return tuple(found)


def segments(here: Sequence[Span], there: Sequence[Span]) -> tuple[Segment, ...]:
    """The text cut wherever a token of either side ends at the same character.

    Several tokens of one character (bytes) end together; the last one is the end. Blanks in front
    of a word may belong to it or not, since only ends are compared.
    """
    ends = [_ends(side) for side in (here, there)]
    shared = [0, *sorted(set(ends[0]) & set(ends[1]))]
    return tuple(
        Segment(_within(here, start, end), _within(there, start, end), start, end)
        for start, end in pairwise(shared)
    )


def _ends(side: Sequence[Span]) -> dict[int, int]:
    return {end: token for token, (start, end) in enumerate(side) if end > start}


def _within(side: Sequence[Span], start: int, end: int) -> tuple[int, ...]:
    return tuple(token for token, (a, b) in enumerate(side) if b > a and start < b <= end)


def matched(here: Sequence[Span], there: Sequence[Span]) -> tuple[tuple[int, int], ...]:
    """Pairs of tokens after which both sides have read the same text, in order."""
    return tuple((part.here[-1], part.there[-1]) for part in segments(here, there))
