"""A typed label put to the test on texts of the held-out half, and the texts to play it oneself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result
from core.spec.errors import Error
from core.spec.intervals import wilson

if TYPE_CHECKING:
    import pandas as pd

N_BLIND, CHANCE_ODD = 10, 0.2


@dataclass(frozen=True)
class LabelTest(Result):
    """Contexts of half B in which the feature fires, and as many in which it is silent.

    Kinds: "tenth 1" (strongest peaks) to "tenth 10", "hard" (peaks of the nearest features),
    "random". Embedding: AUC of the cosine between label and context, control: random words of the
    text. Surprisal: how much more the label in front lowers the loss of contexts in which the
    feature fires than of the others, in nats a token. Words: does it fire on the label's words.
    """

    name: ClassVar[str] = "label_test"
    dictionary: str
    site: str  # of the feature
    feature: int
    label: str
    corpus: str
    n_active: int  # contexts of half B in which it fires
    least: int  # that a score needs
    enough: bool
    layer: int  # whose states stand for a text
    tokens: tuple[tuple[str, ...], ...]  # [context][token]
    kind: tuple[str, ...]  # [context]
    members: tuple[str, ...]  # the label's words, () where they are not known
    missing: tuple[str, ...]  # why a score was not made
    words: tuple[str, ...]  # random words that stand for labels
    auc: float
    auc_low: float  # 95 %, bootstrap over contexts
    auc_high: float
    auc_hard: float  # against the hard ones alone
    surprisal: float  # nats a token
    surprisal_low: float
    surprisal_high: float
    f1: float  # firing on the last token of one of the members, on half B
    precision: float
    recall: float
    odd_share: float  # of the rounds in which the embedding finds the odd context; chance 0.2
    odd_low: float  # 95 %, Wilson
    odd_high: float
    active: np.ndarray  # [context] bool
    activation: np.ndarray  # [context, token] float32, NaN behind the end
    peak: np.ndarray  # [context] the token it was chosen for
    similarity: np.ndarray  # [context] cosine to the label
    drop: np.ndarray  # [context] nats a token less with the label in front
    control_auc: np.ndarray  # [word]
    control_surprisal: np.ndarray  # [word] of the first few
    blind: np.ndarray  # [10] contexts to be marked, half of them active, in random order
    rounds: np.ndarray  # [round, 5] contexts, four active and one that is not
    odd: np.ndarray  # [round] which of the five

    def marked(self, marks: Sequence[bool]) -> tuple[float, float, float]:
        """(balanced accuracy, 95 % interval) of a person's marks on the blind contexts.

        Half of them are active, so balanced accuracy is the share of right marks. Raises `Error`.
        """
        if len(marks) != len(self.blind) or not len(marks):
            raise Error(f"{len(marks)} marks for {len(self.blind)} contexts; mark each of them")
        share = float((np.array(marks, dtype=bool) == self.active[self.blind]).mean())
        return (share, *wilson(share, len(marks)))

    def to_frame(self) -> "pd.DataFrame":
        """One row per context."""
        import pandas as pd

        return pd.DataFrame(
            {
                "kind": self.kind,
                "active": self.active,
                "similarity": self.similarity,
                "drop": self.drop,
                "text": ["".join(tokens) for tokens in self.tokens],
            }
        )
