"""The tokens of a gallery's text that a pattern or a list of words means, and their controls."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.corpus.chunks import Contexts
from core.corpus.spans import pattern_spans, target_tokens, word_spans
from core.galleries.reading import FeatureGallery
from core.galleries.text import GalleryText
from core.spec.errors import Error

LEAST_TARGETS = 3  # in each half
N_SHOWN = 12
MOST_SHIFT = 8


@dataclass(frozen=True)
class Targets:
    """Target tokens [target] int64, places in the text, ascending; `what` in words."""

    what: str
    text: GalleryText
    token: np.ndarray

    @cached_property
    def half(self) -> np.ndarray:
        """Half of the documents of every target, [target]."""
        half: np.ndarray = self.text.token_half[self.token]
        return half

    @cached_property
    def n(self) -> tuple[int, int]:
        """Targets of half A and B."""
        return int((self.half == 0).sum()), int((self.half == 1).sum())

    @cached_property
    def n_tokens(self) -> tuple[int, int]:
        """Tokens that count, of half A and B."""
        kept = self.text.token_half[self.text.keep]
        return int((kept == 0).sum()), int((kept == 1).sum())

    @cached_property
    def mask(self) -> np.ndarray:
        """[token] of bool over the whole text."""
        mask = np.zeros(self.text.n_tokens, dtype=bool)
        mask[self.token] = True
        return mask

    def met(self) -> tuple[tuple[str, int], ...]:
        """The target tokens met most, and how often."""
        common = Counter(self.text.ids[self.token].tolist()).most_common(N_SHOWN)
        names = self.text.read([token for token, _ in common])
        return tuple(zip(names, (n for _, n in common), strict=True))

    def turned(self, n: int, seed: int) -> list[np.ndarray]:
        """n times the targets [target] with the marks of each document turned round by a random
        number of its counted tokens."""
        counted = np.flatnonzero(self.text.keep)
        document = self.text.document[self.text.context[counted]]
        start = np.searchsorted(document, np.arange(document.max() + 2))
        at = np.searchsorted(counted, self.token)
        own = document[at]
        size = (start[own + 1] - start[own]).astype(np.int64)
        generator = np.random.default_rng(seed)
        found = []
        for _ in range(n):
            step = 1 + (generator.random(len(start)) * 1e9).astype(np.int64)
            moved = (at - start[own] + 1 + step[own] % np.maximum(1, size - 1)) % size
            found.append(counted[start[own] + moved])
        return found


def targets(
    gallery: FeatureGallery,
    made: Contexts,
    *,
    pattern: str = "",
    words: Sequence[str] = (),
    token: str = "last",
    shift: int = 0,
) -> Targets:
    """Where the gallery's text is meant. Raises `Error` in a sentence."""
    what, spans = _spans(made, pattern, words)
    if isinstance(shift, bool) or not isinstance(shift, int) or not 0 <= shift <= MOST_SHIFT:
        raise Error(f"shift is a number of tokens from 0 to {MOST_SHIFT}, not {str(shift)[:20]}")
    marked = target_tokens(made, spans, token)
    text = gallery.text
    mask = np.concatenate([np.array(row, dtype=bool) for row in marked])
    place = np.flatnonzero(mask) + shift
    place = place[place < text.n_tokens]
    same = text.context[place] == text.context[place - shift]
    place = place[same & text.keep[place]]
    found = Targets(what + (f", {shift} tokens on" if shift else ""), text, np.unique(place))
    _refuse_too_few(found, gallery)
    return found


def _spans(
    made: Contexts, pattern: str, words: Sequence[str]
) -> tuple[str, list[list[tuple[int, int]]]]:
    if bool(pattern) == bool(words):
        raise Error("say what to look for: pattern= or words=, one of the two")
    texts = [document.text for document in made.documents]
    if pattern:
        return f"the pattern /{pattern}/", pattern_spans(pattern, texts)
    listed = [words] if isinstance(words, str) else list(words)
    what = "the word " if len(listed) == 1 else "one of the words "
    return (what + ", ".join(listed))[:200], word_spans(listed, texts)


def _refuse_too_few(found: Targets, gallery: FeatureGallery) -> None:
    there = f"{gallery.manifest.corpus} ({gallery.n_tokens:,} tokens)"
    if not len(found.token):
        raise Error(f"{found.what} is nowhere in {there}; try a larger corpus or another pattern")
    if min(found.n) < LEAST_TARGETS:
        raise Error(
            f"too few places with {found.what} in {there}: {sum(found.n)}, of which {min(found.n)} "
            f"in one half of the documents; each half needs {LEAST_TARGETS}"
        )
    if min(a - b for a, b in zip(found.n_tokens, found.n, strict=True)) < LEAST_TARGETS:
        raise Error(f"{found.what} is nearly every token of {there}; choose something rarer")
