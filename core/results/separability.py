"""Where classes come apart, layer by layer, and which attribute is drawn largest."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

WARNING = (
    "A share of the variance says how prominently an attribute is represented, not how usefully: "
    "what is easier or learned earlier takes more of it at equal use"
)


@dataclass(frozen=True)
class Separability(Result):
    """Row 0 of the layer axis is what enters the first block, row l what leaves block l - 1.

    gdv: 0 for classes that are not apart, the more negative the better; compare layers, not
    absolute values. silhouette by cosine. accuracy: of the nearest class mean, every word left out
    once, mean over classes. share: of the variance of all words in all contexts. Chance: labels of
    words dealt out anew.
    """

    name: ClassVar[str] = "separability"
    set_name: str
    source: str
    licence: str
    by: str  # the attribute whose classes are asked about
    classes: tuple[str, ...]
    class_size: tuple[int, ...]
    prepare: str
    contexts: tuple[str, ...]
    read: str
    seed: int
    n_words: int
    n_compared: int  # words whose distances were taken
    dropped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    n_shuffles: int
    sites: tuple[str, ...]  # [layer]
    gdv: np.ndarray  # [layer]
    silhouette: np.ndarray
    accuracy: np.ndarray
    gdv_chance: np.ndarray  # [shuffle, layer]
    silhouette_chance: np.ndarray
    accuracy_chance: np.ndarray
    untrained_gdv: np.ndarray  # [layer] fresh weights; NaN where not asked
    untrained_silhouette: np.ndarray
    untrained_accuracy: np.ndarray
    attributes: tuple[str, ...]
    n_values: tuple[int, ...]  # [attribute]
    share: np.ndarray  # [attribute, layer]
    share_adjusted: np.ndarray  # less what labels at random hold
    share_chance: np.ndarray  # [shuffle, attribute, layer] adjusted; NaN for contexts

    @property
    def best(self) -> int:
        """The layer at which the classes are furthest apart by the gdv."""
        return int(np.nanargmin(self.gdv))

    def to_frame(self) -> "pd.DataFrame":
        """One row per layer."""
        import pandas as pd

        table = {"layer": np.arange(len(self.gdv)), "site": self.sites}
        for name in ("gdv", "silhouette", "accuracy"):
            table[name] = getattr(self, name)
            table[f"{name}_chance"] = getattr(self, f"{name}_chance").mean(axis=0)
        for name, values in zip(self.attributes, self.share_adjusted, strict=True):
            table[f"share of {name}"] = values
        return pd.DataFrame(table)
