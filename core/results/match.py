"""The counterparts of one model's neurons, heads or features in another model."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Match(Result):
    """Unit u of a model is unit u % n_units of its layer u // n_units.

    `likeness` is the best a unit finds among all of the other model: a correlation of activations
    or of written logits (heads: CKA of the same). Controls: the best among as many random mixtures
    of the other's units (`control`), and, by activation, with the tokens in random order
    (`shuffled`, else NaN). `threshold` is what 5 in 100 units
    reach with mixtures.
    """

    name: ClassVar[str] = "match"
    models: tuple[str, str]
    same: bool
    unit: str  # "neuron", "head" or "feature"
    by: str  # "activation" or "writes"
    why_no_index: str  # why unit j of one need not be unit j of the other, "" where it may
    dictionaries: tuple[str, ...]
    stacks: tuple[str, str]
    n_units: tuple[int, int]  # in a layer
    layers: tuple[tuple[int, ...], tuple[int, ...]]
    n_tokens: int  # items behind it: tokens of texts, or of the shared vocabulary
    source: str
    seed: int
    texts: tuple[str, ...]
    notes: tuple[str, ...]
    says_here: tuple[tuple[str, ...], ...]  # [listed] tokens its write raises most
    says_there: tuple[tuple[str, ...], ...]  # [listed] those of its counterpart
    listed: np.ndarray  # [listed] units here, best first
    likeness: np.ndarray  # [unit here]
    second: np.ndarray  # [unit here] of the second best
    partner: np.ndarray  # [unit here] unit there
    mutual: np.ndarray  # [unit here] bool, each is the other's best
    control: np.ndarray  # [unit here]
    shuffled: np.ndarray  # [unit here]
    threshold: float
    same_index: np.ndarray  # [unit here] likeness to the unit of its own number; [] without
    control_index: np.ndarray  # [unit here] to the next number; [] without
    back_likeness: np.ndarray  # [unit there]
    back_partner: np.ndarray  # [unit there] unit here
    flow: np.ndarray  # [layer here, layer there] share of a layer's units with their best there
    mean_likeness: np.ndarray  # [layer here]
    mean_control: np.ndarray  # [layer here]
    item_text: np.ndarray  # [item] number of its text; [] by writes
    item_end: np.ndarray  # [item] characters of it that were read
    peak_here: np.ndarray  # [unit here] item at which it is largest
    peak_there: np.ndarray  # [unit there]

    @property
    def matched(self) -> np.ndarray:
        """[unit here] bool: beyond its own mixtures and the threshold, each the other's best."""
        clear = self.likeness > np.fmax(self.control, self.threshold)
        return np.asarray(clear & self.mutual)

    def site(self, unit: int, there: bool = False) -> str:
        """The site text of a unit."""
        row, number = divmod(int(unit), self.n_units[there])
        layer, stack = self.layers[there][row], self.stacks[there]
        front = f"{stack}." if stack else ""
        if self.unit == "feature":
            return f"{self.dictionaries[there]}:{number}"
        return f"{front}L{layer}.{self.unit}[{number}]"

    def context(self, unit: int, there: bool = False) -> str:
        """The end of the text at which a unit is largest; "" by writes."""
        peaks = self.peak_there if there else self.peak_here
        if not len(peaks):
            return ""
        item = int(peaks[int(unit)])
        return self.texts[int(self.item_text[item])][: int(self.item_end[item])][-60:]

    def to_frame(self) -> "pd.DataFrame":
        """One row per unit here."""
        import pandas as pd

        units = range(len(self.likeness))
        columns = {
            "unit": [self.site(unit) for unit in units],
            "counterpart": [self.site(int(unit), there=True) for unit in self.partner],
            "likeness": self.likeness,
            "second": self.second,
            "mutual": self.mutual,
            "matched": self.matched,
            "control": self.control,
        }
        if len(self.same_index):
            columns["same_index"] = self.same_index
        return pd.DataFrame(columns)
