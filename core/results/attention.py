"""Where one head looks on a text."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.results.base import Result


@dataclass(frozen=True)
class AttentionResult(Result):
    """The pattern of one head, in 8 bits: weight = pattern / 255."""

    name: ClassVar[str] = "attention"
    tokens: tuple[str, ...]
    special: tuple[bool, ...]
    layer: int
    head: int
    pattern: np.ndarray  # [query, key] uint8
    uniform: np.ndarray  # [query] the weight that uniform attention would give, the control
    entropy: np.ndarray  # [query] nats
    stack: str = ""  # "enc" when the layers are those of an encoder beside a decoder
