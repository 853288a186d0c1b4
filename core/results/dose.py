"""Dose and response: what happens as the clamps get stronger, in both directions."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.results.base import Result


@dataclass(frozen=True)
class DoseResult(Result):
    """Response of the next-token distribution to the strength of one tray item.

    `target` are the tokens watched: what the unit writes (neurons), else those the change
    raises most. The usable band holds the stops where the targets' probability lies 0.01 above
    the clean run and every control and the KL per token stays below `kl_limit`.
    """

    name: ClassVar[str] = "dose"
    site: str
    unit: float  # one step of `stop`, in activation units
    target: tuple[str, ...]
    target_reason: (
        str  # "tokens the neuron writes most[ below zero]" or "tokens the change raises most"
    )
    n_tokens: int  # positions averaged over
    n_controls: int
    kl_limit: float
    current: float  # the tray's own strength, in units of `unit`
    band: tuple[float, ...]  # (lowest, highest) usable stop, () when none is
    stop: np.ndarray  # [stop] multiples of `unit`
    probability: np.ndarray  # [stop] summed probability of the targets, mean over positions
    base_probability: np.ndarray  # [1] the clean run's
    control_low: np.ndarray  # [stop]
    control_mean: np.ndarray  # [stop]
    control_high: np.ndarray  # [stop]
    kl: np.ndarray  # [stop] nats per token
    control_kl: np.ndarray  # [stop] nats per token, mean over controls
