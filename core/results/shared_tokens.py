"""Tokens of two models on one text, brought together."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.results.base import Result


@dataclass(frozen=True)
class SharedTokens(Result):
    """here: of every token of the other model the token of this one that ends at the same
    character, -1 where none does.
    """

    name: ClassVar[str] = "shared_tokens"
    other: str
    n_here: int
    n_there: int
    here: np.ndarray  # [token of the other] int64
