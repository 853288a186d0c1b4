"""Where queries and keys are largest, and what the model forgets without their largest channel."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.results.base import Result

CONDITIONS = ("as it is", "largest channel", "smallest channel", "random channel")


@dataclass(frozen=True)
class MassiveValues(Result):
    """Sizes of queries, keys and values as attention gets them, after rotary embedding and norms.

    A size is the root mean square over tokens. A channel is massive when it exceeds `factor` times
    the mean over its head's channels. `random_q`, `random_k`: how many are after each head's
    channels were turned by a random rotation, which keeps lengths. Pairs are the two coordinates
    that rotary embedding turns together, without regard to position; [.., 0] without rotation.
    `slow_q`, `slow_k`: share of massive pairs in the slower half, chance 0.5; NaN without any.
    The tasks are answered with one channel of every head replaced by its mean over the tokens, in
    queries and keys of all layers.
    """

    name: ClassVar[str] = "massive_values"
    factor: float
    n_texts: int
    n_tokens: int
    notes: tuple[str, ...]
    tasks: tuple[str, ...]
    in_context: tuple[bool, ...]  # whether the answer stands in the prompt, [task]
    n_cases: tuple[int, ...]  # [task]
    q: np.ndarray  # [layer, head, channel]
    k: np.ndarray  # [layer, kv_head, channel]
    v: np.ndarray  # [layer, kv_head, channel]
    pair_q: np.ndarray  # [layer, head, pair]
    pair_k: np.ndarray  # [layer, kv_head, pair]
    speed: np.ndarray  # [layer, pair] radians per token; NaN in layers without rotation
    n_q: np.ndarray  # [layer] massive channels over all heads
    n_k: np.ndarray  # [layer]
    n_v: np.ndarray  # [layer]
    random_q: np.ndarray  # [layer]
    random_k: np.ndarray  # [layer]
    slow_q: np.ndarray  # [layer]
    slow_k: np.ndarray  # [layer]
    log_p: np.ndarray  # [condition, task] nats of the answer, see CONDITIONS
    right: np.ndarray  # [condition, task] share of cases
    loss: np.ndarray  # [condition] nats per token of the texts; or empty
    stack: str = ""
