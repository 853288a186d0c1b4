"""One direction taken out of the whole stream: what stops, and what else changes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result
from core.results.direction import short
from core.spec.interventions import Project
from core.spec.site import site

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RemoveResult(Result):
    """Candidates are the differences of means at `positions` x layers; one was chosen.

    Behaviour is the log-odds of the watched tokens behind a text, in nats, mean over held-out
    texts: `before`, with the direction taken out everywhere (`removed`), with its affine form
    (`affine`: taken to the mean of the negative texts, at every block's input), and with random
    directions taken out (`control`). A candidate is usable when it is no `late` layer, its KL on
    neutral text is within the limit, and adding it to negative texts raises the behaviour.
    """

    name: ClassVar[str] = "remove"
    concept: str
    sides: tuple[str, ...]
    tokens: tuple[str, ...]  # whose probability is the behaviour
    token_reason: str
    positions: tuple[str, ...]
    chosen: tuple[int, ...]  # (position number, layer)
    why: str  # how the candidate was chosen, in words
    kl_limit: float
    n_build: int  # texts a side that the candidates were built from
    n_positive: int  # held-out texts that everything else was measured on
    n_negative: int
    n_neutral: int  # neutral sentences
    n_controls: int
    seed: int
    sites: tuple[str, ...]  # where the direction is taken out: together, everywhere
    prompts: tuple[str, ...]
    texts_before: tuple[str, ...]  # [prompt] greedy continuations
    texts_removed: tuple[str, ...]
    texts_control: tuple[str, ...]
    side_effects: tuple[tuple[str, str, str, str], ...]  # (sentence, at token, before, after)
    direction: np.ndarray  # [d_model] float32, length 1
    raw: np.ndarray  # [d_model] the difference of means itself, added at its own layer
    usable: np.ndarray  # [position, layer] bool
    ablated: np.ndarray  # [position, layer] behaviour on positive texts with it taken out
    added: np.ndarray  # [position, layer] behaviour on negative texts with it added
    candidate_kl: np.ndarray  # [position, layer] nats per token on neutral text
    before: np.ndarray  # [2] behaviour on positive and on negative texts
    removed: np.ndarray  # [2]
    affine: np.ndarray  # [2]
    control: np.ndarray  # [control, 2]
    kl: np.ndarray  # [3] on neutral text: removed, affine, control (mean)
    loss_increase: np.ndarray  # [3] nats per token on neutral text
    side_kl: np.ndarray  # [side effect] nats per token
    curve_before: np.ndarray  # [side, layer] mean projection on the direction
    curve_removed: np.ndarray  # [side, layer]
    curve_affine: np.ndarray  # [side, layer]
    projection_before: np.ndarray  # [item] at the chosen layer, positive held-out texts first
    projection_removed: np.ndarray  # [item]
    projection_affine: np.ndarray  # [item]

    def changes(self) -> tuple[Project, ...]:
        """The projections that keep the direction out of the whole stream."""
        vector = tuple(short(self.direction))
        return tuple(Project(site(place), vector) for place in self.sites)

    def to_frame(self) -> "pd.DataFrame":
        """One row per candidate."""
        import pandas as pd

        places, layers = np.indices(self.ablated.shape).reshape(2, -1)
        return pd.DataFrame(
            {
                "position": [self.positions[i] for i in places],
                "layer": layers,
                "usable": self.usable.reshape(-1),
                "ablated": self.ablated.reshape(-1),
                "added": self.added.reshape(-1),
                "kl": self.candidate_kl.reshape(-1),
                "chosen": [
                    (int(p), int(n)) == self.chosen for p, n in zip(places, layers, strict=True)
                ],
            }
        )
