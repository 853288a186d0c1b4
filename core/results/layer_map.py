"""The same items at every layer in two or three axes, and what of it chance would show as well."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LayerMap(Result):
    """A map of the items per layer, each turned onto the one before.

    `layers` says which depths are there (0 the embedding, l the output of block l - 1); all other
    arrays follow it. Places are scaled to a mean square distance of 1 from their middle; `scale`
    is what they were divided by, in units of the prepared states (NaN for a layout by neighbours).

    Controls: `null_silhouette` under labels dealt out anew, the map fitted again where labels make
    it; `held_out` is the silhouette of items that the axes were not fitted on, `null_held_out` its
    control; `null_places` are some items on axes fitted on shuffled labels; `null_explained` is of
    states whose dimensions were shuffled each on its own; `null_trust` is of random places.
    """

    name: ClassVar[str] = "layer_map"
    concepts: str  # the name of the set
    kind: str  # of the set: categories, pairs, cycle or line
    mode: str  # "classes", "layer", "basis" or "neighbours"
    prepare: str
    contexts: tuple[str, ...]
    read: str
    stack: str
    basis: int  # the layer whose axes all have ("basis"), or where the layout began ("neighbours")
    n_given: int  # words that could be read or were not tried
    dropped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]  # what was sampled or merged, in words
    words: tuple[str, ...]  # [item]
    groups: tuple[str, ...]  # [class]
    n_neighbours: int  # of trustworthiness and of a layout by neighbours
    n_scored: int  # items behind a silhouette
    n_held_out: int  # items behind a held-out one
    seed: int
    layers: np.ndarray  # [layer] depth, ascending
    places: np.ndarray  # [layer, item, 2 or 3] float32
    scale: np.ndarray  # [layer]
    group: np.ndarray  # [item] class
    pair: np.ndarray  # [pair, 2] numbers of the items of each pair; consecutive ones in a cycle
    explained: np.ndarray  # [layer, axis] share of the variance, largest first; NaN: no axes
    null_explained: np.ndarray  # [layer, axis]
    silhouette: np.ndarray  # [layer] of the classes in the map, NaN without classes
    null_silhouette: np.ndarray  # [layer, draw]
    full_silhouette: np.ndarray  # [layer] in all dimensions
    held_out: np.ndarray  # [layer] in a map made without these items; NaN where labels make no map
    null_held_out: np.ndarray  # [layer, draw]
    trust: np.ndarray  # [layer] trustworthiness of the map
    pca_trust: np.ndarray  # [layer] of the first principal components
    null_trust: np.ndarray  # [layer] of random places
    smooth: np.ndarray  # [layer] correlation of the places with those of the layer before
    null_item: np.ndarray  # [shown] numbers of the items in null_places
    null_places: np.ndarray  # [layer, shown, 2 or 3] float32
    null_group: np.ndarray  # [shown] shuffled class

    @property
    def dims(self) -> int:
        return int(self.places.shape[2])

    @property
    def best(self) -> int:
        """Row of the layer whose classes come apart most: held out, else in the map; 0 for none."""
        for scores in (self.held_out, self.silhouette):
            if np.isfinite(scores).any():
                return int(np.nanargmax(scores))
        return len(self.layers) - 1

    def to_frame(self) -> "pd.DataFrame":
        """One row per item and layer: its word, its class, its place."""
        import pandas as pd

        n_layers, n_items, _ = self.places.shape
        classes = np.array([*self.groups, ""], dtype=object)[self.group]
        return pd.DataFrame(
            {
                "layer": np.repeat(self.layers, n_items),
                "word": np.tile(np.array(self.words, dtype=object), n_layers),
                "class": np.tile(classes, n_layers),
                **{
                    name: self.places[:, :, axis].reshape(-1)
                    for axis, name in enumerate("xyz"[: self.dims])
                },
            }
        )
