"""A contrast pushed: what it measures in contexts, and what pushing it does to every contrast."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result
from core.results.direction import short
from core.spec.interventions import Add
from core.spec.site import site

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ConceptPush(Result):
    """Nats are log-odds of the second half of a pair against the first, mean over its pairs.

    A push of t nats moves the state behind the final norm so far along the contrast that its own
    pairs shift by t. That is exact there ("linear"); "run" is the same vector added to the stream
    at `site`, where the final norm (and later layers) answer. [pushed, measured] are nats a nat.
    """

    name: ClassVar[str] = "concept_push"
    concept_set: str
    concepts: tuple[str, ...]
    concept: int  # the contrast whose tokens are shown
    other: int  # the one it is drawn against
    site: str  # where the stream is pushed
    pairs: tuple[tuple[str, str], ...]
    dropped: tuple[tuple[str, str, str, str], ...]
    left_out: tuple[tuple[str, str], ...]
    prompts: tuple[str, ...]
    groups: tuple[str, ...]  # of contexts: by the word that follows, one contrast each; own texts
    sides: tuple[tuple[str, str], ...]  # [group] names of its two sides
    notes: tuple[str, ...]
    top: tuple[tuple[tuple[str, ...], ...], ...]  # [prompt][step][k] tokens, linear
    run_top: tuple[tuple[tuple[str, ...], ...], ...]  # the same in a run
    control_top: tuple[tuple[tuple[str, ...], ...], ...]  # a random direction of equal length
    tokens: tuple[str, ...]  # of `vocabulary`
    token_pair: tuple[int, ...]  # [token] 1, 2: first, second half of a pair of `concept`; 3, 4: of
    # `other`; 0: any other token
    corpus: str
    n_controls: int
    run_nats: float  # push behind run_effect
    seed: int
    n_pairs: np.ndarray  # [concept]
    measured: np.ndarray  # [context, concept] of l(x) . direction; own contrast: without own pair
    context_group: np.ndarray  # [context] number of its group
    context_side: np.ndarray  # [context] 0 or 1
    auc: np.ndarray  # [group, concept] second side against first, NaN with too few contexts
    control_auc: np.ndarray  # [group, 2] 5 and 95 % of random directions
    n_contexts: np.ndarray  # [group, 2] contexts of each side
    steps: np.ndarray  # [step] nats
    probability: np.ndarray  # [prompt, step, k] of `top`
    run_probability: np.ndarray  # [prompt, step, k]
    control_probability: np.ndarray  # [prompt, step, k]
    effect: np.ndarray  # [pushed, measured] nats a nat, linear
    held_out: np.ndarray  # [concept] own effect on pairs the direction was not built from
    control_effect: np.ndarray  # [pushed, measured] mean |effect| of random directions
    run_effect: np.ndarray  # [prompt, pushed, measured] nats a nat
    run_control: np.ndarray  # [prompt, pushed, measured] a random direction of equal length
    cosine: np.ndarray  # [concept, concept] of the directions, causal
    vocabulary: np.ndarray  # [token, concept] projections g . direction of a sample of tokens
    correlation: np.ndarray  # [concept, concept] of the projections over the whole vocabulary
    vector: np.ndarray  # [concept, d_model] float32 in the stream, length 1
    coefficient: np.ndarray  # [concept] times `vector` shifts its pairs by one nat, mean prompt
    mean_norm: np.ndarray  # [1] mean length of the stream at `site`

    def change(self, concept: int, nats: float) -> Add:
        """The push as an intervention: `coefficient * nats` of the vector at every token."""
        vector = tuple(short(self.vector[concept]))
        return Add(site(self.site), vector, float(f"{float(self.coefficient[concept]) * nats:.6g}"))

    def to_frame(self) -> "pd.DataFrame":
        """One row per contrast pushed and contrast measured."""
        import pandas as pd

        n = len(self.concepts)
        pushed, measured = np.indices((n, n)).reshape(2, -1)
        names = np.array(self.concepts)
        return pd.DataFrame(
            {
                "pushed": names[pushed],
                "measured": names[measured],
                "effect": self.effect.reshape(-1),
                "control_effect": self.control_effect.reshape(-1),
                "run_effect": self.run_effect.mean(axis=0).reshape(-1),
                "run_control": self.run_control.mean(axis=0).reshape(-1),
                "cosine": self.cosine.reshape(-1),
                "correlation": self.correlation.reshape(-1),
            }
        )
