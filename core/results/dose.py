"""Dose and response: what happens as the clamps get stronger, in both directions."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.results.base import Result


@dataclass(frozen=True)
class DoseResult(Result):
    """Response of the next-token distribution to the strength of one tray item.

    A stop s means the strength `origin` + s x `unit`. `target` are the tokens watched: what the
    unit writes (neurons), else those the change raises most. `state` of a stop: "broken" when the
    loss on the neutral text rises by `loss_limit` or more, else "raises" or "lowers" when the
    targets' probability lies beyond the 95 % range of the controls (and 0.01 above, or a fifth
    below, the clean run), else "no effect". `best` is the usable stop with the largest harmonic
    mean of the share gained, (p - p0) / (1 - p0), and of fluency, exp(-loss increase).
    """

    name: ClassVar[str] = "dose"
    site: str
    kind: str  # "clamp", "add", "scale", "limit", "project"
    where: str
    unit: float  # one step of `stop`
    unit_words: str  # what a step is: "the 99.9th percentile of its size", ...
    origin: float
    natural: tuple[float, ...]  # (lowest, highest) stop seen on the reference text, () unknown
    stream_share: float  # share of the stream's mean length that one step moves, 0 unknown
    target: tuple[str, ...]
    target_reason: (
        str  # "tokens the neuron writes most[ below zero]" or "tokens the change raises most"
    )
    n_tokens: int  # positions averaged over
    n_controls: int
    n_neutral: int  # tokens of the neutral text
    n_neutral_controls: int
    n_reference: int  # tokens the unit was measured on, 0 when it was given
    loss_limit: float  # nats per token
    current: float  # the tray's own strength, in steps
    band: tuple[float, ...]  # (lowest, highest) stop that raises the targets, () when none does
    lowering: tuple[float, ...]  # likewise, lowers
    best: tuple[float, ...]  # (stop,) or ()
    state: tuple[str, ...]  # [stop]
    stop: np.ndarray  # [stop]
    probability: np.ndarray  # [stop] summed probability of the targets, mean over positions
    base_probability: np.ndarray  # [1] the clean run's
    kl: np.ndarray  # [stop] nats per token on the prompt
    neutral_kl: np.ndarray  # [stop] nats per token on the neutral text
    neutral_loss: np.ndarray  # [stop] increase of its loss, nats per token
    control_stop: np.ndarray  # [control stop] those with controls
    control_low: np.ndarray  # [control stop] 2.5 % of the controls' probability
    control_mean: np.ndarray  # [control stop]
    control_high: np.ndarray  # [control stop] 97.5 %
    control_kl: np.ndarray  # [control stop] nats per token, mean over controls
    control_neutral_loss: np.ndarray  # [control stop] nats per token, mean over controls
