"""The text of a gallery as flat arrays, readable without the model that it was cut for."""

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.corpus.chunks import Contexts


@dataclass(frozen=True)
class GalleryText:
    """Contexts of tokens, one after another; a token is addressed by its place among all of them.

    ids [token] int32; start [context + 1] int64, context c is start[c]:start[c + 1]; keep [token]
    False for tokens that nothing counts (special ones, a causal model's first); document
    [context] int32; half [document] uint8, 0 or 1 by a hash of the document's text;
    piece_ids [piece] ascending and `pieces`, the readable form of every id that occurs.
    """

    ids: np.ndarray
    start: np.ndarray
    keep: np.ndarray
    document: np.ndarray
    half: np.ndarray
    piece_ids: np.ndarray
    pieces: tuple[str, ...]

    @property
    def n_contexts(self) -> int:
        return len(self.start) - 1

    @property
    def n_tokens(self) -> int:
        """All tokens, those that do not count included."""
        return len(self.ids)

    @cached_property
    def context(self) -> np.ndarray:
        """The context of every token, [token] int32."""
        return np.repeat(np.arange(self.n_contexts, dtype=np.int32), np.diff(self.start))

    @cached_property
    def position(self) -> np.ndarray:
        """Its position there, [token] int32."""
        return (np.arange(self.n_tokens) - self.start[self.context]).astype(np.int32)

    @cached_property
    def token_half(self) -> np.ndarray:
        """The half of its document, [token] uint8."""
        return self.half[self.document[self.context]]

    def token(self, context: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Places of tokens given by context and position, int64."""
        return self.start[context] + position

    def read(self, ids: "np.ndarray | list[int]") -> tuple[str, ...]:
        """Readable pieces of token ids that occur in the text."""
        return tuple(self.pieces[at] for at in np.searchsorted(self.piece_ids, ids).tolist())

    def context_ids(self, context: int) -> np.ndarray:
        """Token ids of one context, [token] int32."""
        found: np.ndarray = self.ids[self.start[context] : self.start[context + 1]]
        return found

    def context_pieces(self, context: int) -> tuple[str, ...]:
        """One context as a person reads it, a piece per token."""
        return self.read(self.context_ids(context))


def flat(made: Contexts) -> GalleryText:
    """The windows of a corpus as flat arrays; their pieces are still to be read."""
    windows = made.windows
    start = np.zeros(len(windows) + 1, dtype=np.int64)
    start[1:] = np.cumsum([len(window.ids) for window in windows])
    ids = np.concatenate([np.array(window.ids, dtype=np.int32) for window in windows])
    return GalleryText(
        ids,
        start,
        keep=np.concatenate([np.array(window.keep, dtype=bool) for window in windows]),
        document=np.array([window.document for window in windows], dtype=np.int32),
        half=np.array([half_of(text.text) for text in made.documents], dtype=np.uint8),
        piece_ids=np.unique(ids),
        pieces=(),
    )


def half_of(text: str) -> int:
    """0 or 1; texts that are the same are in the same half."""
    return zlib.crc32(text.encode("utf-8", "replace")) >> 7 & 1
