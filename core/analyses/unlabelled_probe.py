"""Contrast-consistent search on a labelled set, with the checks such a probe has to pass."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.probe_asked import Sides, sides, stream_names
from core.analyses.probe_ccs import RESTARTS, ccs, consistency, loudest, normalised
from core.analyses.probe_trained import trained
from core.analyses.runs import Progress
from core.analyses.states import encoded, states
from core.models.loaded import Loaded
from core.results.unlabelled_probe import METHODS, UnlabelledProbe
from core.spec.errors import Error

DRAWS = 20
ENDINGS = (" That is true.", " That is false.")
DISTRACTORS = (" Banana.", " Shed.")


def unlabelled_probe(
    loaded: Loaded,
    progress: Progress,
    *,
    labelled: Any = "",
    texts: Sequence[str] = (),
    labels: Sequence[Any] = (),
    groups: Sequence[Any] | None = None,
    positive: str = "",
    endings: Sequence[str] = ENDINGS,
    distractors: Sequence[str] = DISTRACTORS,
    folds: int = 5,
    seed: int = 0,
) -> UnlabelledProbe:
    """Does a probe without labels find the concept, or the loudest contrast between texts?

    Every text stands once with each of the endings, read at the last token; the first ending is
    the one that is right for the positive class. CCS after Burns et al. 2022 ("Discovering Latent
    Knowledge in Language Models Without Supervision"), the distractor after Farquhar et al. 2023
    ("Challenges with unsupervised LLM knowledge discovery"). One fold of the groups is held out.
    """
    for name, pair in (("endings", endings), ("distractors", distractors)):
        fits = not isinstance(pair, str) and len(pair) == 2 and pair[0] != pair[1]
        if not fits or not all(isinstance(one, str) and one.strip() for one in pair):
            raise Error(f"{name}= are two different texts")
    one = sides(
        loaded, labelled=labelled, texts=texts, labels=labels, groups=groups, positive=positive,
        position="last", folds=folds, seed=seed,
    )  # fmt: skip
    word = np.random.default_rng((seed, 7)).permutation(np.arange(len(one.label)) % 2)
    said = [text + distractors[at] for text, at in zip(one.given.texts, word, strict=True)]
    plain = _pairs(loaded, progress, one.given.texts, endings, (0.0, 0.25))
    noisy = _pairs(loaded, progress, said, endings, (0.25, 0.5))
    rows = []
    for layer in range(len(plain[0])):
        progress.step(0.5 + 0.5 * layer / len(plain[0]), f"probes of layer {layer}")
        clean = _Pair(plain[0][layer], plain[1][layer], one, seed)
        loud = _Pair(noisy[0][layer], noisy[1][layer], one, seed)
        rows.append(_layer(clean, loud, word, progress))
    found = {name: np.stack([row[name] for row in rows], axis=-1) for name in rows[0]}
    return UnlabelledProbe(
        request={},
        concept=one.given.name,
        positive=one.positive,
        negative=one.negative,
        endings=(endings[0], endings[1]),
        distractors=(distractors[0], distractors[1]),
        seed=seed,
        sites=stream_names(loaded),
        methods=METHODS,
        n_texts=len(one.label),
        n_train=int((one.fold != 0).sum()),
        n_groups=len(np.unique(one.group)),
        n_restarts=RESTARTS,
        notes=one.notes,
        **{name: np.ascontiguousarray(values, "float32") for name, values in found.items()},
    )


def _pairs(
    loaded: Loaded,
    progress: Progress,
    texts: Sequence[str],
    endings: Sequence[str],
    share: tuple[float, float],
) -> tuple[Tensor, Tensor]:
    """States [layer, text, d] behind each ending."""
    both = [text + ending for ending in endings for text in texts]
    ids = encoded(loaded, both)
    seen = states(loaded, progress, ids, embedding=True, share=share).vectors[0]
    up, down = seen.split(len(texts), dim=1)
    return up, down


class _Pair:
    """Normalised contrast pairs of one layer, and who trains."""

    def __init__(self, up: Tensor, down: Tensor, one: Sides, seed: int) -> None:
        self.train = torch.from_numpy(one.fold != 0)
        self.up, self.down = normalised(up, down, self.train)
        self.label, self.seed = one.label, seed

    @property
    def apart(self) -> Tensor:
        return self.up - self.down

    def scores(self, progress: Progress) -> tuple[dict[str, Tensor], float]:
        """What each method says of every text, sign left open, and the loss of CCS."""
        train = self.train
        probe = ccs(self.up[train], self.down[train], self.seed, progress.check)
        axis = loudest(self.up[train], self.down[train])
        own = trained(self.apart, self.label[:, None], train.numpy()[:, None], "lda")
        return {
            "ccs": probe.score(self.up, self.down) - 0.5,
            "pca": self.apart @ axis,
            "labelled": own.margin(self.apart)[:, 0],
        }, probe.loss

    def right(self, score: Tensor, label: np.ndarray) -> float:
        """Held-out accuracy; the sign is the one that fits the training texts better."""
        said, train = (score > 0).numpy(), self.train.numpy()
        same = (said == label.astype(bool)).astype(float)
        held = float(same[~train].mean())
        return held if same[train].mean() >= 0.5 else 1 - held


def _layer(
    clean: _Pair, loud: _Pair, word: np.ndarray, progress: Progress
) -> dict[str, np.ndarray]:
    own, loss = clean.scores(progress)
    distracted, _ = loud.scores(progress)
    generator = torch.Generator().manual_seed(clean.seed)
    random = torch.randn(clean.apart.shape[1], DRAWS, generator=generator)
    chance = [clean.right(score, clean.label) for score in (clean.apart @ random).T]
    return {
        "accuracy": np.array([clean.right(own[name], clean.label) for name in METHODS]),
        "distracted_accuracy": np.array(
            [loud.right(distracted[name], clean.label) for name in METHODS]
        ),
        "distractor_accuracy": np.array([loud.right(distracted[name], word) for name in METHODS]),
        "control_accuracy": np.array(chance),
        "loss": np.array(loss),
        "random_label_loss": np.array(_random_loss(clean)),
    }


def _random_loss(one: _Pair) -> float:
    """CCS loss on the training texts of a labelled probe for labels drawn at random."""
    train = one.train
    n = int(train.sum())
    label = np.random.default_rng((one.seed, 8)).permutation(np.arange(n) % 2)
    both = torch.cat([one.up[train], one.down[train]])
    wanted = np.concatenate([label, 1 - label])[:, None]
    fits = trained(both, wanted, np.ones((2 * n, 1), bool), "logistic", 100.0)
    high, low = torch.sigmoid(fits.margin(both)[:, 0]).split(n)
    return float(consistency(high, low))
