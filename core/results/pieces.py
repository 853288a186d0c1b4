"""Answers that are full of token ids: the readable piece of each id stands in them once."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from core.results.base import Result


@dataclass(frozen=True)
class WithPieces(Result):
    """Base of answers with many token ids: `pieces[i]` is the text of `piece_ids[i]`, sorted."""

    pieces: tuple[str, ...]
    piece_ids: np.ndarray  # [piece] int64, ascending

    def read(self, ids: "Iterable[int] | np.ndarray") -> tuple[str, ...]:
        """The readable pieces of ids that occur in this answer."""
        places = np.searchsorted(self.piece_ids, np.asarray(list(ids), dtype=np.int64))
        return tuple(self.pieces[place] for place in places.tolist())
