"""What every head causes: the loss of the answer when the head is ablated."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.results.base import Result


@dataclass(frozen=True)
class HeadEffect(Result):
    """Causal effect of each head on the model's answer at one position.

    `effect` = log p(answer) of the unablated run minus that with the head ablated, in nats:
    positive means the head helps the answer. `control` is the same when the stream is moved
    as far in a random direction inside another head of the layer.
    """

    name: ClassVar[str] = "head_effect"
    tokens: tuple[str, ...]
    position: int
    answer: str  # the piece whose log-probability is measured
    answer_id: int
    to: str  # "mean", "zero" or "resample"
    n_controls: int
    n_texts: int
    effect: np.ndarray  # [layer, head] nats
    control: np.ndarray  # [layer, head] nats, mean over the controls
    kl: np.ndarray  # [layer, head] nats, KL(unablated || ablated) at the position
    stack: str = ""  # "enc" when the layers are those of an encoder beside a decoder
