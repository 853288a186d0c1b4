"""Does a description land on the word it means, at which layer, and what does its state hold?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

CONDITIONS = ("matched", "mismatched", "none")  # words of the demonstrations; none: without any


@dataclass(frozen=True)
class ReverseDictionary(Result):
    """Right: the greedy continuation is the word, or one as good. Mismatched: the demonstrations'
    words dealt out among their descriptions.

    Categories: balanced accuracy of the nearest category mean by cosine, every item left out once,
    at the arrow, at the end of the description (before the arrow), and at the arrow behind
    mismatched demonstrations. Row 0 of the layer axis is what enters the first block.
    """

    name: ClassVar[str] = "reverse_dictionary"
    set_name: str
    source: str
    licence: str
    arrow: str
    seed: int
    n_items: int
    n_given: int
    n_demonstrations: int  # asked for
    fitted: tuple[int, ...]  # [run] how many of them fit
    n_runs: int
    n_shuffles: int
    notes: tuple[str, ...]
    example: str  # one prompt
    words: tuple[str, ...]  # [item]
    descriptions: tuple[str, ...]
    category: tuple[str, ...]
    categories: tuple[str, ...]
    sites: tuple[str, ...]  # [layer]
    right: np.ndarray  # [condition, run, item] bool
    said: tuple[str, ...]  # [item] first tokens written, matched, first run
    first_p: np.ndarray  # [condition, item] probability of the word's first token, mean of the runs
    category_accuracy: np.ndarray  # [place, layer]: arrow, end of the description, mismatched arrow
    category_chance: np.ndarray  # [shuffle, place, layer]
    odd_one_out: np.ndarray  # [layer] share of triplets, two of one category; by chance 1/3
    n_triplets: int
    ns: np.ndarray  # [count] numbers of demonstrations compared
    n_accuracy: np.ndarray  # [count] share right with that many
    likeness: np.ndarray  # [count, layer] RSA with the states behind the most demonstrations
    likeness_chance: np.ndarray  # [shuffle, count, layer] items dealt out anew
    category_likeness: np.ndarray  # [layer] RSA of the arrow with being of one category
    property_layer: int  # -1 where no properties were given
    properties: tuple[str, ...]
    property_group: tuple[str, ...]
    property_size: np.ndarray  # [property] items that have it
    property_auc: np.ndarray  # [property] held out
    property_f1: np.ndarray
    property_chance: np.ndarray  # [shuffle, property] AUC with the items dealt out anew

    def accuracy(self, condition: str) -> float:
        """Share right of all runs."""
        return float(self.right[CONDITIONS.index(condition)].mean())

    @property
    def best_layer(self) -> int:
        """Where the arrow tells most about the category; the last one without categories."""
        if np.isnan(self.category_accuracy[0]).all():
            return len(self.sites) - 1
        return int(np.nanargmax(self.category_accuracy[0]))

    def to_frame(self) -> "pd.DataFrame":
        """One row per item."""
        import pandas as pd

        table = {"word": self.words, "description": self.descriptions, "category": self.category,
                 "said": self.said}  # fmt: skip
        for number, condition in enumerate(CONDITIONS):
            table[f"right {condition}"] = self.right[number].mean(axis=0)
            table[f"p {condition}"] = self.first_p[number]
        return pd.DataFrame(table)
