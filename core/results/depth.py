"""At which layer a concept becomes readable: held-out scores by layer, with their controls."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result
from core.spec.site import Site

if TYPE_CHECKING:
    import pandas as pd

SCORES = ("accuracy", "balanced_accuracy", "auc", "f1", "log_loss", "calibration_error")


@dataclass(frozen=True)
class Depth(Result):
    """Row l of every [layer, ...] array is what enters block l; the last what leaves the last one.

    Row 0 is the embedding. All scores are of held-out texts, means over folds; intervals are 95 %
    over groups of texts (texts, where there are no groups), those of accuracy at least as wide as
    Wilson's. Controls, on the same folds unless said: shuffled labels; a random label for every
    type of token, group or word (`task_...`, on random folds); words alone; the token at the
    position alone; the largest class. NaN where something does not exist or was not asked for.
    Of two classes the second one is positive, and there is one output, its log odds; of more,
    AUC and F1 are means over classes and every class has an output.
    """

    name: ClassVar[str] = "depth"
    concept: str
    source: str
    probe: str
    c: float  # inverse penalty of the logistic probe
    position: str
    seed: int
    stack: str
    grouped: bool
    n_folds: int
    n_groups: int
    n_shuffles: int
    n_tasks: int
    types: str  # what has a random label in the control task: "token", "group", "word" or ""
    n_types: int
    classes: tuple[str, ...]
    texts: tuple[str, ...]
    notes: tuple[str, ...]  # sentences: copies, groups, leaks, texts that were cut
    accuracy: np.ndarray  # [layer]
    accuracy_low: np.ndarray
    accuracy_high: np.ndarray
    auc: np.ndarray  # [layer]
    auc_low: np.ndarray
    auc_high: np.ndarray
    f1: np.ndarray  # [layer]
    f1_low: np.ndarray
    f1_high: np.ndarray
    balanced_accuracy: np.ndarray  # [layer]
    log_loss: np.ndarray  # [layer] nats a text; the largest class alone: entropy of the classes
    calibration_error: np.ndarray  # [layer] expected, ten bins
    fold_accuracy: np.ndarray  # [layer, fold]
    fold_auc: np.ndarray  # [layer, fold]
    control_accuracy: np.ndarray  # [layer] labels shuffled, mean over shuffles
    control_accuracy_low: np.ndarray  # [layer] 5th percentile of the shuffles
    control_accuracy_high: np.ndarray  # [layer] 95th
    control_auc: np.ndarray  # [layer]
    control_auc_low: np.ndarray
    control_auc_high: np.ndarray
    control_most: np.ndarray  # [2] 95th percentile over shuffles of the best layer: accuracy, AUC
    task_accuracy: np.ndarray  # [layer] control task, random folds
    task_grouped_accuracy: np.ndarray  # [layer] the same on held-out groups: above chance is a leak
    selectivity: np.ndarray  # [layer] accuracy on random folds minus task_accuracy
    random_accuracy: np.ndarray  # [layer] random folds, where groups are given
    random_auc: np.ndarray
    untrained_accuracy: np.ndarray  # [layer] the architecture with fresh weights
    untrained_auc: np.ndarray
    floor: np.ndarray  # [kind] accuracy of: largest class, words alone, token alone
    floor_auc: np.ndarray  # [kind]
    label: np.ndarray  # [text] class number
    group: np.ndarray  # [text] group number; every text its own where none are given
    fold: np.ndarray  # [text] the fold it is held out in
    margin: np.ndarray  # [layer, text, output] of the held-out text, float32
    weight: np.ndarray  # [layer, output, d_model] fitted on all texts, for states as they are
    bias: np.ndarray  # [layer, output]
    points: Mapping[str, np.ndarray]  # name -> [score, 3] value, 5 and 95 %; scores accuracy, AUC
    paper: Mapping[str, np.ndarray]  # name -> [1] share of the blocks

    @property
    def n_layers(self) -> int:
        """Blocks; the curves have one row more."""
        return len(self.accuracy) - 1

    @property
    def n_texts(self) -> int:
        return len(self.label)

    @property
    def guess(self) -> np.ndarray:
        """[layer, text] the class each held-out text was given."""
        if self.margin.shape[2] == 1:
            return (self.margin[..., 0] > 0).astype(np.int64)
        return np.asarray(self.margin.argmax(axis=2))

    @property
    def direction(self) -> np.ndarray:
        """[layer, output, d_model] of length 1, towards the output's class."""
        length = np.linalg.norm(self.weight, axis=-1, keepdims=True)
        return np.asarray(self.weight / np.maximum(length, 1e-30))

    def against(self, layer: int, output: int) -> np.ndarray:
        """[d_model] of length 1, towards a class and away from the mean of the others.

        output  the class; of two classes 1 is the positive one and 0 the other way round
        """
        weight = self.weight[layer].astype(np.float64)
        if len(weight) == 1:
            found = weight[0] if output else -weight[0]
        else:
            found = weight[output] - np.delete(weight, output, axis=0).mean(axis=0)
        return np.asarray(found / max(float(np.linalg.norm(found)), 1e-30))

    def towards(self, layer: int, output: int) -> np.ndarray:
        """[text] margins of held-out texts for a class against the mean of the others."""
        margin = self.margin[layer].astype(np.float64)
        if margin.shape[1] == 1:
            return np.asarray(margin[:, 0] if output else -margin[:, 0])
        return np.asarray(margin[:, output] - np.delete(margin, output, axis=1).mean(axis=1))

    def gap(self, layer: int, output: int) -> float:
        """How far the texts of a class lie from the others along `against`, in units of the
        stream: the distance of the means of the held-out margins over the length of the weight."""
        own, weight = self.towards(layer, output), self.weight[layer].astype(np.float64)
        if len(weight) == 1:
            length = float(np.linalg.norm(weight[0]))
        else:
            rest = np.delete(weight, output, axis=0).mean(axis=0)
            length = float(np.linalg.norm(weight[output] - rest))
        here = self.label == output
        return float((own[here].mean() - own[~here].mean()) / max(length, 1e-30))

    def confusion(self, layer: int) -> np.ndarray:
        """[class, class given] counts of held-out texts."""
        n = len(self.classes)
        pairs = self.label * n + self.guess[layer]
        return np.asarray(np.bincount(pairs, minlength=n * n).reshape(n, n))

    def worst(self, layer: int, n: int = 20) -> np.ndarray:
        """Numbers of the texts the probe was most wrong about, most wrong first."""
        margin = self.margin[layer]
        if margin.shape[1] == 1:
            against = np.where(self.label == 1, -margin[:, 0], margin[:, 0])
        else:
            own = margin[np.arange(len(margin)), self.label]
            others = margin.copy()
            others[np.arange(len(margin)), self.label] = -np.inf
            against = others.max(axis=1) - own
        order = np.argsort(-against, kind="stable")[:n]
        return np.asarray(order[against[order] > 0])

    def site(self, layer: int) -> str:
        """The site of a row, as every page writes it."""
        if layer == 0:
            return str(Site(0, "resid_pre", stack=self.stack))
        return str(Site(layer - 1, "resid_post", stack=self.stack))

    def readable(self, score: str = "accuracy") -> bool:
        """Is the best layer above the floors by two standard errors and above the best layers of
        shuffled labels?"""
        which = 0 if score == "accuracy" else 1
        curve = self.accuracy if which == 0 else self.auc
        low = self.accuracy_low if which == 0 else self.auc_low
        best = int(curve.argmax())
        floor = self.highest_floor(score)
        error = (curve[best] - low[best]) / 1.96
        return bool(curve[best] - floor > 2 * error and curve[best] > self.control_most[which])

    def highest_floor(self, score: str = "accuracy") -> float:
        """What words, the token or the largest class alone reach, whichever is most."""
        values = self.floor if score == "accuracy" else self.floor_auc
        return float(np.nanmax(values))

    def onset(self, score: str = "accuracy") -> int | None:
        """The layer from which on it is readable; None where it is not."""
        value = float(self.points["onset"][0 if score == "accuracy" else 1, 0])
        return None if np.isnan(value) or not self.readable(score) else int(value)

    def to_frame(self) -> "pd.DataFrame":
        """One row per layer: scores, intervals, controls."""
        import pandas as pd

        columns = {"layer": np.arange(len(self.accuracy))}
        columns |= {name: getattr(self, name) for name in SCORES}
        for name in (
            "accuracy_low", "accuracy_high", "auc_low", "auc_high", "control_accuracy",
            "control_auc", "task_accuracy", "selectivity", "random_accuracy", "untrained_accuracy",
        ):  # fmt: skip
            columns[name] = getattr(self, name)
        return pd.DataFrame(columns)
