"""Vectors of categories: do held-out words share them, do they branch off at right angles."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

WARNING = (
    "Right angles appear without any signal: sets that lie in one another make them by themselves. "
    "The evidence is the score of words that were held out, far from 0 and from shuffled tokens."
)
FEW = 20  # words, below which a category's numbers move much from split to split


@dataclass(frozen=True)
class Categories(Result):
    """A word's score is how far it goes along the vector of its category: 1 at the vector's end.

    test: words held out of the vector. Shuffled: the words' rows replaced by those of any tokens,
    the same row in every category the word is in. c1: cosine of (category - parent) with the
    parent; c2: with (parent - grandparent).

    Axes: category, above before below; shuffle; kind of plane: 0 parent and child, 1 parent and
    child to sibling, 2 parent to another parent and child to sibling; kind of solid: 0 three
    siblings, 1 four. Points of the close look: grey tokens, then words.
    """

    name: ClassVar[str] = "categories"
    set_name: str
    source: str
    licence: str
    side: str  # "unembedding" or "states"
    site: str  # "" for the unembedding
    layer: int  # row of the stream, -1 for the unembedding
    how: str
    prepare: str
    forms: str
    exclusive: bool  # parents without the words of the child
    contexts: tuple[str, ...]
    read: str
    seed: int
    n_splits: int
    n_shuffles: int
    n_words: int  # read
    n_rows: int
    n_others: int  # tokens or words that stand for any
    n_dimensions: int
    dropped: tuple[tuple[str, str], ...]  # (word, why)
    notes: tuple[str, ...]
    names: tuple[str, ...]  # [category]
    parent: np.ndarray  # [category] number of the category above, -1 for none
    n_each: np.ndarray  # [category] words, those below it included
    train: np.ndarray  # [category]
    test: np.ndarray
    test_sd: np.ndarray  # over words
    n_test: np.ndarray  # rows that were held out at least once
    random: np.ndarray  # [category] mean score of any tokens
    random_sd: np.ndarray
    shuffled_test: np.ndarray  # [shuffle, category]
    c1: np.ndarray  # [category] NaN without a parent
    c2: np.ndarray
    shuffled_c1: np.ndarray  # [shuffle, category]
    shuffled_c2: np.ndarray
    random_c1: np.ndarray  # [category] unrelated categories in the place of the parent
    random_c2: np.ndarray
    cosine: np.ndarray  # [category, category]
    shuffled_cosine: np.ndarray  # mean over the shuffles
    shuffled_low: np.ndarray  # where 90 % of them lie
    shuffled_high: np.ndarray
    distance: np.ndarray  # [category, category] steps along the tree
    spearman: float  # of cosine and 1 / (1 + steps)
    shuffled_spearman: np.ndarray  # [shuffle]
    family: np.ndarray  # [family] number of the parent, of three children or more
    family_size: np.ndarray
    regularity: np.ndarray  # [family] deviation of the edges over their mean
    shuffled_regularity: np.ndarray  # [shuffle, family]
    normal: np.ndarray  # [family] mean cosine of (child - first child) with the parent
    shuffled_normal: np.ndarray
    layer_test: np.ndarray  # [layer] mean over categories; empty for the unembedding
    layer_shuffled: np.ndarray
    focus: int  # the category looked at closely, -1 for none
    focus_parent: int
    sibling: int
    toward: int
    corners: tuple[int, ...]
    points: tuple[str, ...]
    point_group: np.ndarray  # [point] category a word is drawn as, -1 for any token
    point_held: np.ndarray  # [point] bool, held out of the vectors
    plane: np.ndarray  # [kind, point, 2]
    plane_arrow: np.ndarray  # [kind, (child, parent, sibling, other parent), 2]
    solid: np.ndarray  # [kind, point, 3]
    solid_corner: np.ndarray  # [kind, corner, 3]
    solid_parent: np.ndarray  # [kind, 3]
    effect_kind: tuple[str, ...]  # [effect] "across" two parents or "within" one
    effect_pair: np.ndarray  # [effect, 2] categories
    effect: np.ndarray  # [effect] mean change of the difference of two words for a step of 1
    effect_sd: np.ndarray  # over pairs of words
    effect_n: np.ndarray
    shuffled_effect: np.ndarray  # [shuffle, effect]

    @property
    def represented(self) -> np.ndarray:
        """[category] whether its held-out words score beyond 95 of 100 shuffles."""
        found: np.ndarray = self.test > np.quantile(self.shuffled_test, 0.95, axis=0)
        return found

    @property
    def marked(self) -> np.ndarray:
        """[category, category] cosines outside of where 90 % of the shuffles lie."""
        found: np.ndarray = (self.cosine < self.shuffled_low) | (self.cosine > self.shuffled_high)
        return found

    def to_frame(self) -> "pd.DataFrame":
        """One row per category."""
        import pandas as pd

        above = [self.names[p] if p >= 0 else "" for p in self.parent]
        table = {"category": self.names, "parent": above, "n_words": self.n_each}
        names = ("train", "test", "test_sd", "n_test", "random", "random_sd", "c1", "c2",
                 "random_c1", "random_c2")  # fmt: skip
        table |= {name: getattr(self, name) for name in names}
        for name in ("shuffled_test", "shuffled_c1", "shuffled_c2"):
            table[name] = getattr(self, name).mean(axis=0)
        return pd.DataFrame(table)
