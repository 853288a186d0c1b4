"""Probes of 24 layers x 20 concepts x 5 folds, ours and scikit-learn's. Run by benchmarks.depth."""

import sys
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import sklearn
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.peers.worker import Arrays, serve
from core.analyses.depth_fits import Plan, fit_layers
from core.models.library import transformers

N_TEXTS, D, N_LAYERS, N_CONCEPTS, N_FOLDS = 2_000, 768, 24, 20, 5
N_CAPTURED, N_TOKENS = 10, 20  # of the 2,000 texts, for the price of a capture


def main(threads: str) -> None:
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    warnings.simplefilter("ignore")
    serve(
        _calls(), lambda found: found, {"torch": torch.__version__, "sklearn": sklearn.__version__}
    )


@cache
def _latent() -> tuple[torch.Tensor, np.ndarray]:
    """What the texts differ in [text, D], spread as 1 / rank, and labels [text, concept] by noisy
    projections on random directions, from hardly readable to separable."""
    random = torch.Generator().manual_seed(0)
    found = torch.randn(N_TEXTS, D, generator=random) / torch.arange(1, D + 1)
    mixed = found @ torch.linalg.qr(torch.randn(D, D, generator=random))[0].T
    along = mixed / mixed.std(dim=0) @ torch.randn(D, N_CONCEPTS, generator=random)
    along = along / along.std(dim=0)
    noise = torch.linspace(0.1, 2, N_CONCEPTS) * torch.randn(along.shape, generator=random)
    return found, (along + noise > 0).long().numpy()


@cache
def _layer(number: int) -> torch.Tensor:
    """States [text, d]: the same spectrum, turned another way in every layer."""
    random = torch.Generator().manual_seed(number + 1)
    return _latent()[0] @ torch.linalg.qr(torch.randn(D, D, generator=random))[0].T


def _plan(labels: np.ndarray) -> Plan:
    found = Plan(2, {"held": np.arange(N_TEXTS) % N_FOLDS})
    found.sets["main"] = (labels, "held")
    return found


def _ours(layers: int) -> Arrays:
    """Accuracy [layer, concept], mean over folds."""
    labels = _latent()[1]
    fits = fit_layers([_layer(number) for number in range(layers)], _plan(labels), "logistic", 1.0)
    right = [((one.held["main"][..., 0] > 0) == labels).mean(axis=0) for one in fits]
    return {"accuracy": np.stack(right)}


def _theirs(**options: Any) -> Arrays:
    """The same for one layer, a fit for every concept and fold."""
    x, labels = _layer(0).numpy(), _latent()[1]
    fold = np.arange(N_TEXTS) % N_FOLDS
    right = np.zeros(N_CONCEPTS)
    for concept in range(N_CONCEPTS):
        for number in range(N_FOLDS):
            train, y = fold != number, labels[:, concept]
            model = make_pipeline(StandardScaler(), LogisticRegression(**options))
            right[concept] += model.fit(x[train], y[train]).score(x[~train], y[~train]) / N_FOLDS
    return {"accuracy": right[None]}


def _calls() -> dict[str, Callable[[], Any]]:
    config = transformers.GPT2Config(n_embd=D, n_layer=N_LAYERS, n_head=12)
    model = transformers.GPT2Model(config).eval()
    ids = torch.randint(0, 50_000, (N_CAPTURED, N_TOKENS))
    for number in range(N_LAYERS):
        _layer(number)  # made before anything is timed
    return {
        "capture": lambda: model(ids, output_hidden_states=True),
        "ours": lambda: _ours(N_LAYERS),
        "one": lambda: _ours(1),
        "sklearn": _theirs,
        "exact": lambda: _theirs(tol=1e-6, max_iter=5_000),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
