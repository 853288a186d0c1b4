"""Made-up results about depth, for tests of figures and screens."""

import numpy as np

from core.results.depth import Depth
from core.results.depth_summary import NAMES


def depth(
    n_layers: int = 8,
    onset: int | None = 3,
    name: str = "gender carried",
    classes: tuple[str, ...] = ("male", "female"),
    n: int = 40,
    seed: int = 0,
) -> Depth:
    """Readable from `onset` on; the first texts are wrong at every layer, by less and less."""
    rng, rows, k = np.random.default_rng(seed), n_layers + 1, len(classes)
    label = np.arange(n) % k
    up = np.full(rows, 0.52)
    if onset is not None:
        up[onset:] = np.linspace(0.9, 0.97, rows - onset)
    side = np.where(label == 1, 1.0, -1.0)
    margin = np.abs(rng.normal(2, 0.5, (rows, n))) * side
    margin[:, :6] *= -np.linspace(3, 1, 6)
    outputs = margin[..., None] if k == 2 else rng.normal(size=(rows, n, k))
    points = {key: np.full((2, 3), np.nan) for key in NAMES}
    if onset is not None:
        for key in ("onset", "half_rise", "saturation"):
            points[key] = np.full((2, 3), float(onset))
    flat, none = np.full(rows, 0.5), np.full(rows, np.nan)
    lines: dict[str, np.ndarray] = {}
    for score in ("accuracy", "auc", "f1"):
        lines |= {score: up, f"{score}_low": up - 0.05, f"{score}_high": up + 0.02}
    for score in ("accuracy", "auc"):
        lines[f"control_{score}"] = flat
        lines |= {f"control_{score}_low": flat - 0.1, f"control_{score}_high": flat + 0.1}
        lines |= {f"random_{score}": up, f"untrained_{score}": none, f"fold_{score}": up[:, None]}
    return Depth(
        request={}, concept=name, source="made up", probe="logistic", c=1.0, position="last",
        seed=0, stack="", grouped=True, n_folds=5, n_groups=10, n_shuffles=20, n_tasks=5,
        types="token", n_types=7, classes=classes,
        texts=tuple(f"text {i} of {classes[label[i]]}" for i in range(n)),
        notes=("a remark of the split",), **lines, balanced_accuracy=up, log_loss=flat,
        calibration_error=flat / 10, control_most=np.array([0.65, 0.65]),
        task_accuracy=flat, task_grouped_accuracy=flat, selectivity=up - flat,
        floor=np.array([0.5, 0.6, np.nan]), floor_auc=np.array([0.5, 0.6, np.nan]),
        label=label, group=np.arange(n) // 4, fold=np.arange(n) % 5,
        margin=outputs.astype("float32"),
        weight=rng.normal(size=(rows, 1 if k == 2 else k, 192)).astype("float32"),
        bias=np.zeros((rows, 1 if k == 2 else k), "float32"), points=points,
        paper={key: np.array([0.5]) for key in ("jump", "converging", "converging_literal")},
    )  # fmt: skip
