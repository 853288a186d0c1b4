"""How few features tell a concept: accuracies of probes on 1, 2 and 5, concept by concept."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SparseProbes(Result):
    """Held-out accuracies, one row a concept; both sides of a concept are cut to one size.

    Controls: as many firing features drawn at random (mean of ten draws), a probe on all that the
    dictionary reads, and the accuracy of always saying one side.
    """

    name: ClassVar[str] = "sparse_probes"
    dictionary: str
    site: str
    concepts: tuple[str, ...]
    left_out: tuple[str, ...]  # concepts with too few texts
    k: np.ndarray  # [k] features of a probe
    n_texts: np.ndarray  # [concept, 2] of a side, held out
    accuracy: np.ndarray  # [concept, k]
    random: np.ndarray  # [concept, k]
    dense: np.ndarray  # [concept]
    majority: np.ndarray  # [concept]

    def to_frame(self) -> "pd.DataFrame":
        """One row a concept and k."""
        import pandas as pd

        concept, place = np.indices(self.accuracy.shape).reshape(2, -1)
        return pd.DataFrame(
            {
                "concept": [self.concepts[number] for number in concept],
                "k": self.k[place],
                "accuracy": self.accuracy.reshape(-1),
                "random": self.random.reshape(-1),
                "dense": self.dense[concept],
                "majority": self.majority[concept],
            }
        )
