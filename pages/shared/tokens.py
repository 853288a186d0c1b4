"""Tokens on the screen: the strip, the strip with attention, and the list of neurons.

Token text enters the page through `textContent` alone, so no token can become markup.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class NeuronRow:
    """One line of the neuron list."""

    site: str  # "L5.neuron[77]"
    activation: float  # signed, activation units
    peak: float  # observed maximum of |activation|, > 0
    writes: tuple[str, ...]  # top tokens, strongest first
    suppresses: tuple[str, ...] = ()
    clamped: bool = False  # already in the tray: the + becomes a mark


def token_strip(
    tokens: Sequence[str],
    *,
    key: str,
    label: str,
    on_pick: Callable[[int], None],
    picked: int | None = None,
    special: Sequence[bool] | None = None,
    values: Sequence[float] | np.ndarray | None = None,
    limit: float | None = None,
    signed: bool = True,
    unit: str = "",
) -> None:
    """The tokens of a text in reading order; `on_pick(index)` on a click or Enter.

    values  [token] shown as background, NaN is "no value"; `limit` is the value of full
            colour (default: the largest |value|); `signed` colours diverge at 0.
    """
    raise NotImplementedError


def attention_strip(
    tokens: Sequence[str],
    weights: np.ndarray,
    *,
    key: str,
    label: str,
    query: int,
    on_pick: Callable[[int], None],
    special: Sequence[bool] | None = None,
) -> None:
    """The tokens shaded by where `query` looks; hovering any token shows where that one looks.

    weights  [query, key] uint8, weight = value / 255, as `AttentionResult.pattern`
    """
    raise NotImplementedError


def neuron_list(
    rows: Sequence[NeuronRow],
    *,
    key: str,
    label: str,
    on_clamp: Callable[[int], None],
    on_open: Callable[[int], None],
    picked: int | None = None,
) -> None:
    """Neurons, one per row; `on_open(row)` for the row, `on_clamp(row)` for its + button."""
    raise NotImplementedError
