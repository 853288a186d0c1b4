"""What is near a feature: by its rows, by firing together, by hints, and which neurons."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

HINTS = ("", "duplicate", "split by context", "parent", "child")


@dataclass(frozen=True)
class FeatureNeighbours(Result):
    """Features near one feature; every list best first.

    Hints: "duplicate" decoder cosine above 0.9 and Jaccard above 0.5; "split by context" cosine
    above 0.7 and Jaccard below 0.05; "parent" fires on 90 % of this one's tokens, at least three
    times as often and at least twice as often there as anywhere; "child" the other way round.
    Controls: `chance_*`, 99th percentile of the largest cosine of random directions (isotropic;
    like the rows) with all rows; `chance_jaccard`, the same feature's firings turned round in the
    text. Firing together needs 15 tokens each, Pearson's r 30.
    """

    name: ClassVar[str] = "feature_neighbours"
    dictionary: str
    feature: int
    site: str
    n_features: int
    corpus: str
    n_tokens: int
    n_fires: int  # tokens on which it fires, -1 where nothing was counted
    why_not: str  # why nothing is said about firing together, "" when it is
    n_chance: int
    n_shifts: int
    own_cosine: float  # of its own encoder and decoder, NaN where widths differ
    own_band: tuple[float, float]  # the same of all features, central 95 %
    chance_decoder: tuple[float, float]
    chance_encoder: tuple[float, float]
    chance_jaccard: tuple[float, float]  # mean and largest over the shifts, of the best feature
    named: tuple[tuple[int, str], ...]  # (feature, label)
    says: tuple[tuple[int, tuple[str, ...]], ...]  # (feature, first tokens of its lens)
    neurons: tuple[str, ...]  # sites, by |cosine| with what the feature writes
    neuron_kind: tuple[str, ...]  # "out": it writes the like; "in", "gate": it reads it
    neuron_chance: float  # largest |cosine| of random directions, mean
    why_no_neurons: str
    decoder: np.ndarray  # [k] features by cosine of decoder rows
    decoder_cosine: np.ndarray  # [k]
    decoder_encoder: np.ndarray  # [k] cosine of the encoder columns of the same pair
    decoder_jaccard: np.ndarray  # [k] NaN where not counted
    decoder_hint: np.ndarray  # [k] int8, place in HINTS
    opposite: np.ndarray  # [few] smallest cosine of decoder rows
    opposite_cosine: np.ndarray  # [few]
    encoder: np.ndarray  # [k] features by cosine of encoder columns
    encoder_cosine: np.ndarray  # [k]
    encoder_decoder: np.ndarray  # [k] cosine of the decoder rows of the same pair
    together: np.ndarray  # [k] features by Jaccard index
    together_count: np.ndarray  # [k] tokens on which they fire
    together_both: np.ndarray  # [k] tokens on which both do
    jaccard: np.ndarray  # [k]
    phi: np.ndarray  # [k]
    lift: np.ndarray  # [k] times as often together as if apart
    pearson: np.ndarray  # [k] NaN below 30 firings
    together_cosine: np.ndarray  # [k] of the decoder rows
    together_hint: np.ndarray  # [k] int8
    parents: np.ndarray  # [few] features that fire nearly wherever this one does
    parents_share: np.ndarray  # [few] P(parent | this)
    parents_count: np.ndarray  # [few]
    children: np.ndarray  # [few]
    children_share: np.ndarray  # [few] P(this | child)
    children_count: np.ndarray  # [few]
    neuron_cosine: np.ndarray  # [neuron] signed
    head_decoder: np.ndarray  # [head] share of the decoder row's square, [0] without heads
    head_encoder: np.ndarray  # [head]

    def label(self, feature: int) -> str:
        """The label of a feature, "" without one."""
        return dict(self.named).get(int(feature), "")

    def to_frame(self) -> "pd.DataFrame":
        """One row per neighbour and list."""
        import pandas as pd

        parts = [
            pd.DataFrame(
                {
                    "by": "decoder",
                    "feature": self.decoder,
                    "cosine": self.decoder_cosine,
                    "jaccard": self.decoder_jaccard,
                    "hint": [HINTS[code] for code in self.decoder_hint.tolist()],
                }
            ),
            pd.DataFrame({"by": "encoder", "feature": self.encoder, "cosine": self.encoder_cosine}),
            pd.DataFrame(
                {
                    "by": "firing",
                    "feature": self.together,
                    "cosine": self.together_cosine,
                    "jaccard": self.jaccard,
                    "phi": self.phi,
                    "lift": self.lift,
                    "pearson": self.pearson,
                    "hint": [HINTS[code] for code in self.together_hint.tolist()],
                }
            ),
        ]
        whole = pd.concat(parts, ignore_index=True)
        whole.insert(2, "label", [self.label(one) for one in whole["feature"]])
        return whole
