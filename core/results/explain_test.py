"""A claim about a neuron, tested: does it fire on all and only these strings, does it matter?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("precision", "recall", "F1", "AUC")
RULES = ("best F1", "half of maximum")


@dataclass(frozen=True)
class ExplainTest(Result):
    """Both tests of "this neuron fires on all and only strings of the concept".

    Observed: a string's value is the neuron's activation at its last token, mean over carriers,
    times `sign`. Sign and threshold come from half of the strings, the scores from the other half
    (`held`). `random_score` are other neurons of the layer put through the same, `shuffled_score`
    this neuron with the membership shuffled.

    Intervened: in `pairs` of prompts that differ in the string, the value of the source is put
    into the base. `flipped` says whether the base then prefers the source's continuation, `shift`
    how far the logit difference moved: 0 not at all, 1 to where the source has it.
    """

    name: ClassVar[str] = "explain_test"
    site: str
    explanation: str
    sign: int  # +1 fires above, -1 below
    strings: tuple[str, ...]
    carriers: tuple[str, ...]
    false_alarms: tuple[str, ...]  # held-out strings that are no members but pass the best rule
    misses: tuple[str, ...]  # held-out members that do not
    n_random: int
    n_shuffles: int
    better: tuple[str, ...]  # other neurons of the layer that separate all strings best
    pairs: tuple[tuple[str, str, str, str], ...]  # base, source, continuation of each
    conditions: tuple[str, ...]  # interchanged: "neuron", "mlp_out", "resid_post", "random"
    skipped: tuple[str, ...]  # why pairs were left out, or why there is no intervention
    member: np.ndarray  # [string] bool
    held: np.ndarray  # [string] bool: scored, not used to choose
    value: np.ndarray  # [string, carrier] activation units, signed
    threshold: np.ndarray  # [rule] on sign x mean value
    score: np.ndarray  # [rule, measure] precision, recall, F1, AUC on the held-out half
    low: np.ndarray  # [rule, measure] 95 %: Wilson for precision and recall, bootstrap else
    high: np.ndarray  # [rule, measure]
    random_score: np.ndarray  # [neuron, measure] of the best rule
    shuffled_score: np.ndarray  # [shuffle, measure]
    better_auc: np.ndarray  # [k] of `better`, over all strings
    flipped: np.ndarray  # [condition, pair] share of its neurons that flip it (one: 0 or 1)
    shift: np.ndarray  # [condition, pair]
    efficacy: np.ndarray  # [condition] share of pairs flipped
    efficacy_low: np.ndarray  # [condition] 95 %, Wilson
    efficacy_high: np.ndarray  # [condition]
    mean_shift: np.ndarray  # [condition]
    shift_low: np.ndarray  # [condition] 95 %, bootstrap over pairs
    shift_high: np.ndarray  # [condition]

    def to_frame(self) -> "pd.DataFrame":
        """One row per string: membership, which half, its value in every carrier."""
        import pandas as pd

        table: dict[str, object] = {
            "string": list(self.strings),
            "member": self.member,
            "held out": self.held,
            "mean value": self.value.mean(axis=1),
        }
        for number, carrier in enumerate(self.carriers):
            table[carrier] = self.value[:, number]
        return pd.DataFrame(table)
