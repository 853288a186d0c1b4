"""The curves of one picture as one table: several sets, or several models, of depth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result
from core.results.depth import Depth

if TYPE_CHECKING:
    import pandas as pd

CURVES = (
    "accuracy", "accuracy_low", "accuracy_high", "auc", "auc_low", "auc_high", "f1",
    "balanced_accuracy", "control_accuracy", "control_accuracy_low", "control_accuracy_high",
    "control_auc", "control_auc_low", "control_auc_high", "task_accuracy", "selectivity",
    "random_accuracy", "random_auc", "untrained_accuracy", "untrained_auc",
)  # fmt: skip
POINTS = ("onset", "half_rise", "saturation", "peak")


@dataclass(frozen=True)
class DepthCurves(Result):
    """Every array is [curve, state] and named as in `Depth`; NaN behind the last state of a model.

    It is put together by a page for its export; no analysis answers with it.
    """

    name: ClassVar[str] = "depth_curves"
    models: tuple[str, ...]  # [curve]
    sets: tuple[str, ...]  # [curve]
    probes: tuple[str, ...]
    positions: tuple[str, ...]
    n_texts: tuple[int, ...]
    n_layers: tuple[int, ...]  # blocks
    readable: tuple[bool, ...]  # by accuracy
    notes: tuple[tuple[str, ...], ...]
    floors: np.ndarray  # [curve, kind] accuracy of the largest class, words, the token
    floors_auc: np.ndarray
    points: dict[str, np.ndarray]  # name -> [curve, 3] value, 5 and 95 %, of accuracy
    curves: dict[str, np.ndarray]  # name -> [curve, state]

    def to_frame(self) -> "pd.DataFrame":
        """One row for each state of each curve."""
        import pandas as pd

        parts = []
        for row, n in enumerate(self.n_layers):
            states = np.arange(n + 1)
            columns: dict[str, object] = {
                "model": self.models[row],
                "set": self.sets[row],
                "probe": self.probes[row],
                "position": self.positions[row],
                "n_texts": self.n_texts[row],
                "state": states,
                "depth": states / max(1, n),
            }
            columns |= {name: self.curves[name][row, : n + 1] for name in CURVES}
            kinds = ("largest_class", "words_alone", "token_alone")
            columns |= {f"floor_{k}": self.floors[row, i] for i, k in enumerate(kinds)}
            columns |= {name: self.points[name][row, 0] for name in POINTS}
            parts.append(pd.DataFrame(columns))
        return pd.concat(parts, ignore_index=True)


def together(found: Sequence[tuple[str, str, Depth]]) -> DepthCurves:
    """(model, set, answer) of every curve of a picture as one."""
    depths = [one for _, _, one in found]
    width = max(one.n_layers for one in depths) + 1

    def padded(name: str) -> np.ndarray:
        rows = np.full((len(depths), width), np.nan)
        for row, one in zip(rows, depths, strict=True):
            values = np.asarray(getattr(one, name), dtype=float)
            row[: len(values)] = values
        return rows

    return DepthCurves(
        request={},
        models=tuple(model for model, _, _ in found),
        sets=tuple(name for _, name, _ in found),
        probes=tuple(one.probe for one in depths),
        positions=tuple(one.position for one in depths),
        n_texts=tuple(one.n_texts for one in depths),
        n_layers=tuple(one.n_layers for one in depths),
        readable=tuple(one.readable() for one in depths),
        notes=tuple(tuple(one.notes) for one in depths),
        floors=np.stack([one.floor for one in depths]),
        floors_auc=np.stack([one.floor_auc for one in depths]),
        points={name: np.stack([one.points[name][0] for one in depths]) for name in POINTS},
        curves={name: padded(name) for name in CURVES},
    )
