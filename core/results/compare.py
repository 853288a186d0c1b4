"""Two models, or one, layer by layer: do they arrange the same texts alike?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Compare(Result):
    """Row 0 of every layer axis is what enters the first block, row l what leaves block l - 1.

    Layer axes [here, there] are those of the first model and of the other; a model by itself is
    `within`. Controls: items of the other model in random order (`control_*`, mean and the level
    that 95 % of the shuffles stay below), and the other architecture with fresh weights
    (`fresh_cka`, NaN and a note where it cannot be made). NaN stands where nothing varies.
    """

    name: ClassVar[str] = "compare"
    models: tuple[str, str]
    within: bool  # one model, layer against layer
    same: bool  # the same model twice
    families: tuple[str, str]
    kinds: tuple[str, str]
    texts: tuple[str, ...]
    source: str
    position: str  # "last", "mean" or "token"
    prepare: str
    same_tokens: bool
    n_items: int
    n_shuffles: int
    k: int  # neighbours
    seed: int
    stack: str
    notes: tuple[str, ...]
    item_text: np.ndarray  # [item] number of its text
    item_end: np.ndarray  # [item] characters of it that the item has seen
    cka: np.ndarray  # [here, there] debiased linear CKA
    cka_error: np.ndarray  # [here, there] standard error over items
    control_cka: np.ndarray  # [here, there] mean
    control_cka_high: np.ndarray  # [here, there] 95 %
    fresh_cka: np.ndarray  # [here, there]
    rsa: np.ndarray  # [here, there] Spearman between dissimilarities
    partial_rsa: np.ndarray  # [here, there] what length and common words do not explain
    control_rsa: np.ndarray  # [here, there] mean
    control_rsa_high: np.ndarray  # [here, there] 95 %
    rsa_p: np.ndarray  # [here, there] share of shuffles as high
    ceiling_here: np.ndarray  # [here] RSA of a model with itself, texts behind two lead-ins
    ceiling_there: np.ndarray  # [there]
    overlap: np.ndarray  # [here, there] mean Jaccard of the k nearest neighbours
    control_overlap: np.ndarray  # [here, there]
    chance_overlap: float  # of random neighbours
    near_here: np.ndarray  # [here, item, k]
    near_there: np.ndarray  # [there, item, k]
    counterpart: np.ndarray  # [here] the layer there that the arrays below compare with
    procrustes: np.ndarray  # [here] 1 - distance² / 2
    control_procrustes: np.ndarray  # [here]
    svcca: np.ndarray  # [here] mean canonical correlation
    pwcca: np.ndarray  # [here]
    control_svcca: np.ndarray  # [here]
    n_components: np.ndarray  # [here, 2] kept by SVCCA on either side
    map_r2: np.ndarray  # [way, here] held out; way 0 leads from here to there, 1 back
    control_map_r2: np.ndarray  # [way, here] items paired at random
    map_at1: np.ndarray  # [way, here] an item's own vector is the nearest of its fold
    map_at5: np.ndarray  # [way, here]
    chance_at1: float
    chance_at5: float
    map_penalty: np.ndarray  # [way, here] mean eigenvalues
    map_error: np.ndarray  # [here, item] from here to there, over the mean squared distance
    state_distance: np.ndarray  # [here] ||a - b|| over the mean length; [] for unlike shapes
    state_cosine: np.ndarray  # [here] both centred; [] for unlike shapes
    control_state_distance: np.ndarray  # [here] another item's state
    control_state_cosine: np.ndarray  # [here]
    weight_parts: tuple[str, ...]
    weight_distance: np.ndarray  # [here, part], the last column all; [0, 0] for unlike shapes
    control_weight_distance: np.ndarray  # [here, part] the next layer's weights
    weight_names: tuple[str, ...]  # parameters, most changed first
    weight_moved: np.ndarray  # [name]

    @property
    def best(self) -> np.ndarray:
        """[here] the layer there that CKA finds most alike."""
        found: np.ndarray = np.nan_to_num(self.cka, nan=-1.0).argmax(axis=1)
        return found

    def beyond(self, view: str) -> np.ndarray:
        """[here, there] bool: is a cell of "cka", "rsa" or "overlap" beyond its control?

        Above 95 % of the shuffles; CKA also two errors above fresh weights; shared neighbours
        twice those of items in random order.
        """
        if view == "overlap":
            chance = np.fmax(self.control_overlap, self.chance_overlap)
            return np.asarray(self.overlap > 2 * chance)
        if view == "rsa":
            return np.asarray(self.rsa > self.control_rsa_high)
        fresh = np.nan_to_num(self.fresh_cka, nan=-1.0) + 2 * np.nan_to_num(self.cka_error)
        return np.asarray((self.cka > self.control_cka_high) & (self.cka > fresh))

    def item(self, number: int) -> str:
        """An item in words: its text, up to where it was read."""
        whole = self.texts[int(self.item_text[number])]
        return whole[: int(self.item_end[number])] if self.position == "token" else whole

    def to_frame(self) -> "pd.DataFrame":
        """One row per pair of layers."""
        import pandas as pd

        here, there = np.indices(self.cka.shape).reshape(2, -1)
        columns = ("cka", "cka_error", "control_cka_high", "fresh_cka", "rsa", "partial_rsa",
                   "control_rsa_high", "rsa_p", "overlap", "control_overlap")  # fmt: skip
        values = {name: getattr(self, name).reshape(-1) for name in columns}
        return pd.DataFrame({"here": here, "there": there, **values})
