"""Made-up results of the checks of probes, for tests of screens."""

import numpy as np

from core.results.calibration import PARTS, THRESHOLDS, Calibration
from core.results.depth_noise import DepthNoise
from core.results.detect_guide import DetectGuide
from core.results.probe_controls import ProbeControls

LAYERS = 8
ROWS = LAYERS + 1
SITES = ("L0.resid_pre", *(f"L{layer}.resid_post" for layer in range(LAYERS)))


def _common(name: str, positive: str) -> dict[str, object]:
    return {
        "request": {}, "concept": name, "about": "", "source": "made up", "positive": positive,
        "negative": "male", "position": "last", "c": 1.0, "seed": 0, "grouped": True,
        "n_texts": 160, "n_positive": 80, "n_groups": 40, "n_folds": 5, "notes": (),
    }  # fmt: skip


def probe_controls(name: str = "gender carried", positive: str = "female") -> ProbeControls:
    """From row 5 on a tenth of a bit a text, 20 texts, one dimension."""
    late = np.arange(ROWS) >= 5
    auc = np.where(late, 0.95, 0.5)
    size, dimension = np.array([10, 20, 50, 128]), np.array([1, 2, 4, 8])
    curve = np.stack([np.where(late, value, 0.5) for value in (0.7, 0.94, 0.95, 0.95)])
    return ProbeControls(
        **_common(name, positive),  # type: ignore[arg-type]
        sites=SITES, n_shuffles=20, n_few_shuffles=5, n_orders=3, penalties=(1.0, 0.1),
        size=size, size_auc=curve, size_auc_low=curve - 0.03, size_auc_high=curve + 0.03,
        control_size_auc=np.full((5, 4, ROWS), 0.5), block=np.array([16, 40, 160]),
        bits=np.tile(np.where(late, np.where(np.arange(ROWS) == 5, 0.1, 0.2), 1.02), (3, 1)),
        control_bits=np.full((20, ROWS), 1.2), entropy=np.array([1.0]), dimension=dimension,
        dimension_auc=np.tile(auc, (4, 1)), random_dimension_auc=np.tile(auc - 0.1, (4, 1)),
        control_dimension_auc=np.full((5, 4, ROWS), 0.5), chance_auc=np.full(ROWS, 0.6),
    )  # fmt: skip


def calibration(
    name: str = "gender carried", positive: str = "female", both_ways: bool = False
) -> Calibration:
    """Too sure as it is, right after a temperature of 3, best at row 5."""
    rng, n = np.random.default_rng(0), 160
    label = np.arange(n) % 2
    brier = np.where(np.arange(ROWS) == 5, 0.05, 0.2)
    bins = np.tile(
        np.array([[16, 0.05 + 0.1 * k, 0.05 + 0.1 * k] for k in range(10)]), (ROWS, 1, 1)
    )
    parts = np.array(PARTS[:0] if both_ways else PARTS)
    k, t = len(parts), len(THRESHOLDS)
    flat = np.full(ROWS, 0.02)
    return Calibration(
        **_common(name, positive),  # type: ignore[arg-type]
        sites=SITES, texts=("a text",) * n, n_inner=3, n_shuffles=5, n_draws=100, label=label,
        accuracy=np.full(ROWS, 0.9), auc=np.full(ROWS, 0.95), ece=flat, raw_ece=flat * 6,
        perfect_ece=flat * 0.8, perfect_ece_high=flat * 1.5, control_ece=flat * 4, brier=brier,
        raw_brier=brier * 1.5, control_brier=flat * 12, base_brier=np.array([0.25]),
        log_loss=brier * 2, raw_log_loss=brier * 4, temperature=np.full((ROWS, 5), 3.0),
        margin=rng.normal(size=(ROWS, n)), raw_margin=rng.normal(size=(ROWS, n)),
        reliability=bins, raw_reliability=bins, threshold=np.array(THRESHOLDS),
        stop_saved=np.linspace(0.6, 0.2, t), stop_accuracy=np.linspace(0.85, 0.95, t), part=parts,
        part_auc=np.full((k, ROWS), 0.8), part_accuracy=np.full((k, ROWS), 0.75),
        control_part_auc=np.full((5, k, ROWS), 0.5), part_words_auc=np.full(k, 0.55),
        read_saved=np.tile(np.linspace(0.5, 0.1, t), (ROWS, 1))[:, : t if k else 0],
        read_accuracy=np.full((ROWS, t if k else 0), 0.9),
    )  # fmt: skip


def depth_noise(name: str = "gender carried", positive: str = "female") -> DepthNoise:
    """Letters delay it by one layer; typing errors lower it."""
    rows = np.arange(ROWS)
    auc = np.stack([np.where(rows >= start, top, 0.5) for start, top in
                    ((3, 0.95), (3, 0.95), (4, 0.95), (3, 0.8))])  # fmt: skip
    shift = np.array([[0, 0], [0.05, 0.0], [1.0, 0.0], [0.0, -0.15]])
    return DepthNoise(
        **_common(name, positive),  # type: ignore[arg-type]
        sites=SITES, conditions=("clean", "other folds", "letters", "typos"),
        points=("half_rise", "peak"), n_shuffles=20, floor_auc=np.array([0.5, 0.55, np.nan]),
        auc=auc, auc_low=auc - 0.03, auc_high=auc + 0.03, kept_auc=auc,
        moved=np.abs(auc - 0.5), control_auc=np.full((20, ROWS), 0.5),
        point=shift + np.array([2.5, 0.95]), shift=shift, shift_low=shift - 0.1,
        shift_high=shift + 0.1,
    )  # fmt: skip


def detect_guide(name: str = "gender carried", positive: str = "female") -> DetectGuide:
    """Logistic regression at L2 reads best, difference in means at L4 guides best."""
    rng, layers, alpha = np.random.default_rng(0), np.array([0, 2, 4]), np.array([-0.5, 0.25, 0.5])
    auc, pnes = np.full((4, 3), 0.8), np.full((4, 3), 0.2)
    auc[0, 1], pnes[1, 2] = 0.99, 0.7
    direction = rng.normal(size=(4, 3, 192))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    return DetectGuide(
        **_common(name, positive),  # type: ignore[arg-type]
        judge="a probe on mean states of embedded", prompts=("One day",) * 8, new_tokens=16,
        n_random=4, n_shuffles=1000, plain=" a girl",
        methods=("logistic", "difference", "lda", "pca"),
        texts=(((" he ran", " she ran", " she sat"),) * 3,) * 4, layer=layers, alpha=alpha,
        mean_norm=np.array([4.0, 5.0, 6.0]), auc=auc, random_auc=np.full((4, 3), 0.6), pnes=pnes,
        control_pnes=np.full((4, 3), 0.1), towards=np.ones((4, 3)),
        rate=np.full((4, 3, 3), 0.6), ratio=np.full((4, 3, 3), 1.2),
        control_rate=np.full((4, 3, 3), 0.5), control_ratio=np.full((4, 3, 3), 1.1),
        base=np.full(3, 0.5), judge_layer=np.array([5, 5, 5]), judge_separation=np.full(3, 0.97),
        direction=direction.astype("float32"), rho=np.array([0.3]), rho_p=np.array([0.2]),
    )  # fmt: skip
