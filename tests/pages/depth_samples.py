"""Made-up results about depth, for tests of figures and screens."""

import numpy as np

from core.results.depth import Depth
from core.results.depth_summary import NAMES
from core.results.lens_depth import LensDepth
from core.results.probe_family import ProbeFamily
from core.results.transfer import Transfer


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


def probe_family(
    n_layers: int = 8, names: tuple[str, str] = ("female", "male"), best: int = 5, seed: int = 0
) -> ProbeFamily:
    """Logistic regression reads it best, at the row `best`."""
    rng, rows, k, shuffles = np.random.default_rng(seed), n_layers + 1, 4, 20
    auc = np.full((k, rows), 0.8)
    auc[0, best] = 0.95
    chance = rng.uniform(0.45, 0.55, (shuffles, k, rows))
    cosine = np.tile(np.eye(k) * 0.5 + 0.5, (rows, 1, 1))
    cosine[best] = np.eye(k) * 0.75 + 0.25
    return ProbeFamily(
        request={}, concept="gender carried", about="", source="made up", positive=names[0],
        negative=names[1], position="last", seed=0, c=1.0,
        methods=("logistic", "difference", "lda", "pca"), sites=_sites(n_layers), grouped=True,
        n_texts=160, n_positive=80, n_groups=40, n_folds=5, n_shuffles=shuffles, notes=(),
        auc=auc, auc_low=auc - 0.04, auc_high=auc + 0.03, accuracy=auc - 0.1,
        control_auc=chance, control_accuracy=chance, random_auc=chance[:, 0],
        random_accuracy=chance[:, 0], direction=rng.normal(size=(k, rows, 192)),
        threshold=np.zeros((k, rows)), gap=np.ones((k, rows)), cosine=cosine,
        control_cosine=np.tile(np.eye(k), (rows, 1, 1)),
        layer_cosine=np.tile(np.eye(rows), (k, 1, 1)), fold_cosine=np.ones((k, rows)),
    )  # fmt: skip


def transfer(sets: tuple[str, ...], n_layers: int = 8, seed: int = 0) -> Transfer:
    """The first probe reads every set, the others only their own."""
    rng, rows, n = np.random.default_rng(seed), n_layers + 1, len(sets)
    auc = np.full((n, n, rows), 0.5)
    auc[0] = auc[np.arange(n), np.arange(n)] = 0.9
    chance = rng.uniform(0.45, 0.55, (20, n, n, rows))
    layers = rng.uniform(0.45, 0.55, (5, n, rows, rows))
    return Transfer(
        request={}, sets=sets, topics=("truth",) * n, positives=("true",) * n,
        negatives=("false",) * n, positions=("last",) * n, n_texts=(200,) * n,
        n_groups=(50,) * n, method="lda", c=1.0, seed=0, n_shuffles=20, n_layer_shuffles=5,
        sites=_sites(n_layers), notes=(), auc=auc, auc_low=auc - 0.04, auc_high=auc + 0.04,
        accuracy=auc, accuracy_plain=auc, control_auc=chance, others_auc=auc[0],
        cosine=np.tile(np.eye(n), (rows, 1, 1)), layer_auc=layers[0] + 0.3,
        control_layer_auc=layers,
    )  # fmt: skip


def lens_depth(
    task: str, n_layers: int = 8, words: tuple[str, ...] = ("Paris", "Rome"), n: int = 12
) -> LensDepth:
    """Settled from row 4 on, and right from there on."""
    rows = n_layers + 1
    late = np.repeat((np.arange(rows) >= 4)[:, None], n, axis=1).astype("float32")
    right = late.mean(axis=1)
    flat = np.full(rows, 0.1)
    return LensDepth(
        request={}, task=task, about="made up", seed=0, sites=_sites(n_layers),
        prompts=tuple(f"prompt {i}" for i in range(n)),
        answers=tuple(words[i % len(words)] for i in range(n)), candidates=words,
        finals=tuple(words[i % len(words)] for i in range(n)), tracked=words, notes=(),
        n_shuffles=20, entropy=3 - 2 * late, kl=4 - 4 * late, agrees=late,
        top_probability=0.3 + 0.6 * late, final_rank=9 - 9 * late, final_probability=0.8 * late,
        decided=np.full(n, 4), share=np.stack([0.4 * late] * len(words)),
        answer_probability=0.7 * late, answer_rank=9 - 9 * late, exit_accuracy=right,
        exit_low=right * 0.8, exit_high=right, control_exit_accuracy=np.tile(flat, (20, 1)),
        control_answer_probability=flat, random_entropy=flat, random_agreement=flat,
        random_final_probability=flat, random_share=np.tile(flat, (len(words), 1)),
    )  # fmt: skip


def _sites(n_layers: int) -> tuple[str, ...]:
    return ("L0.resid_pre", *(f"L{i}.resid_post" for i in range(n_layers)))
