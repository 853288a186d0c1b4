"""Probes that see no labels, and whether they find the concept or only the loudest contrast."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.results.base import Result

METHODS = ("ccs", "pca", "labelled")


@dataclass(frozen=True)
class UnlabelledProbe(Result):
    """Row 0 of every layer axis is what enters the first block, row l what leaves block l - 1.

    Accuracies are of held-out groups; the sign of a probe is taken from the training labels, so
    chance is 0.5. `labelled` is LDA on the same contrasts. Distracted: half of the texts end in
    one word and half in another, both halves of a pair in the same.
    """

    name: ClassVar[str] = "unlabelled_probe"
    concept: str
    positive: str
    negative: str
    endings: tuple[str, str]
    distractors: tuple[str, str]
    seed: int
    sites: tuple[str, ...]
    methods: tuple[str, ...]
    n_texts: int
    n_train: int
    n_groups: int
    n_restarts: int
    notes: tuple[str, ...]
    accuracy: np.ndarray  # [method, layer]
    control_accuracy: np.ndarray  # [draw, layer] random directions
    distracted_accuracy: np.ndarray  # [method, layer] of the concept, with distractors
    distractor_accuracy: np.ndarray  # [method, layer] of the distractor, by the same probes
    loss: np.ndarray  # [layer] of CCS on the training texts
    random_label_loss: np.ndarray  # [layer] of a labelled probe for random labels

    def takes_the_distractor(self, layer: int) -> bool:
        """Does CCS name the distractor better than the concept there?"""
        return bool(self.distractor_accuracy[0, layer] > self.distracted_accuracy[0, layer])
