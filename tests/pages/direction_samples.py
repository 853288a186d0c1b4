"""Made-up results about directions, for tests of figures and screens."""

import numpy as np

from core.results.base import Result
from core.results.direction import DirectionResult
from core.results.edited import EditedResult
from core.results.erase import EraseResult
from core.results.guide import GuideResult
from core.results.remove import RemoveResult
from tests.pages.samples import HOSTILE, PLAIN, VOCAB

D = 192  # as the fake model says
METHODS = ("difference", "logistic", "pca", "lda")


def _units(rng: np.random.Generator, n: int, width: int = D) -> np.ndarray:
    rows = rng.normal(size=(n, width))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype("float32")


def direction(
    n_layers: int = 8, words: tuple[str, ...] = VOCAB, fixed: bool = False, seed: int = 0
) -> DirectionResult:
    """Readable from the middle layers on; a fixed direction has no items."""
    rng, n = np.random.default_rng(seed), 0 if fixed else 30
    depth = np.linspace(0, 1, n_layers).astype("float32")
    vectors = _units(rng, n_layers)
    lines = {
        name: at + slope * depth + (np.nan if fixed else 0)
        for name, at, slope in (
            *(("separation", 0.5, 0.45), ("split_half", 0.3, 0.6), ("consistency", 0.2, 0.5)),
            *(("gap", 0.0, 3.0), ("spread", 1.0, 1.0), ("middle", 0.0, 1.0)),
        )
    }
    sizes = np.array([5, 10, 20, 50, 100])
    cosine = np.clip(rng.normal(0.6, 0.2, (n_layers, 4, 4)), -1, 1).astype("float32")
    scores = rng.uniform(0.5, 1, (n_layers, 8)).astype("float32")
    pieces = tuple(tuple(words[(i + j) % len(words)] for j in range(8)) for i in range(n_layers))
    return DirectionResult(
        request={},
        concept="" if fixed else words[1],
        sides=("", "") if fixed else (f"positive texts of {words[1]}", "negative texts"),
        source="made up",
        method="token" if fixed else "difference",
        position="last",
        other="",
        paired=not fixed,
        n_positive=n,
        n_negative=n,
        n_tokens=400,
        seed=0,
        stack="",
        methods=METHODS,
        neurons=tuple(tuple(f"L{i}.neuron[{j}]" for j in range(8)) for i in range(n_layers)),
        direction=vectors,
        control_separation=rng.normal(0.5, 0.06, (n_layers, 0 if fixed else 20)).astype("float32"),
        mean_norm=(5 + 20 * depth).astype("float32"),
        mean_positive=vectors * 2,
        mean_negative=-vectors,
        projection=rng.normal(size=(n_layers, 2 * n)).astype("float32"),
        sizes=sizes,
        expected_cosine=np.tile(1 - 1 / sizes, (n_layers, 1)).astype("float32"),
        method_cosine=cosine,
        method_separation=np.full((n_layers, 4), np.nan if fixed else 0.8, "float32"),
        **lines,
        layer_cosine=(vectors @ vectors.T).astype("float32"),
        neuron_cosine=scores * rng.choice([-1, 1], scores.shape),
        **_tokens(scores, pieces),
    )


def _tokens(scores: np.ndarray, pieces: tuple[tuple[str, ...], ...]) -> dict[str, object]:
    """What the directions are made of, beside chance."""
    return {
        "raises": pieces,
        "lowers": pieces[::-1],
        "raise_score": scores,
        "lower_score": -scores,
        "control_score": np.full(len(scores), 0.6, "float32"),
        "control_neuron_cosine": np.full(len(scores), 0.25, "float32"),
    }


def guide(words: tuple[str, ...] = PLAIN, seed: int = 0) -> GuideResult:
    """One good cell, one loop."""
    rng, n = np.random.default_rng(seed), 6
    alpha = np.array([-0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5])
    shape = (n, len(alpha))
    effect = np.abs(np.linspace(0, 0.7, n)[:, None] * alpha * 2)
    fluency = np.clip(1 - alpha**2 * 2 * np.ones(shape), 0.05, 1)
    score = 2 * effect * fluency / np.maximum(effect + fluency, 1e-9)
    distinct = np.full(shape, 0.8)
    distinct[-1, -1] = 0.1
    said = tuple(" ".join(words[i:]) for i in range(3))
    texts = tuple(tuple(said for _ in alpha) for _ in range(n))
    return GuideResult(
        request={},
        concept="gender",
        method="difference",
        judge=f"a probe on mean states of {words[1]}",
        prompts=("Once upon a time", "Yesterday", words[-1]),
        new_tokens=24,
        n_controls=2,
        seed=0,
        texts=texts,
        control_texts=texts,
        layer=np.arange(n),
        alpha=alpha,
        mean_norm=np.linspace(5, 25, n).astype("float32"),
        natural=np.full(n, 0.2),
        separation=np.linspace(0.7, 0.99, n),
        judge_layer=np.array([2, 2, 1, 2, 2, 2]),
        judge_separation=np.full(n, 0.97),
        base=np.full(n, 0.3),
        base_perplexity=np.array([2.2]),
        success=np.clip(0.3 + 0.7 * effect * np.sign(alpha), 0, 1),
        effect=effect,
        fluency=fluency,
        score=score,
        distinct=distinct,
        control_success=np.full(shape, 0.3) + rng.normal(0, 0.02, shape),
        control_fluency=fluency,
        control_score=np.abs(rng.normal(0, 0.05, shape)),
        direction=_units(rng, n),
    )


def remove(words: tuple[str, ...] = PLAIN, usable: bool = True, seed: int = 0) -> RemoveResult:
    """The behaviour falls; the affine form a little less."""
    rng, n_layers, n = np.random.default_rng(seed), 8, 12
    depth = np.linspace(1, 9, n_layers)
    curves = np.stack([depth, -depth])
    allowed = np.zeros((2, n_layers), bool)
    allowed[:, 1:6] = usable
    along = rng.normal(size=2 * n) + np.repeat([4, -4], n)
    vector = _units(rng, 1)[0]
    return RemoveResult(
        request={},
        concept="gender",
        sides=("positive texts", "negative texts"),
        tokens=words[1:4],
        token_reason="tokens that were named",
        positions=("last", "mean"),
        chosen=(0, 3),
        why="lowest behaviour among 10 usable candidates",
        kl_limit=0.1,
        n_build=n,
        n_positive=n,
        n_negative=n,
        n_neutral=50,
        n_controls=4,
        seed=0,
        sites=("L0.resid_pre", "L0.attn_out", "L0.mlp_out"),
        prompts=("Once upon a time", words[-1]),
        texts_before=(" he went", words[-2]),
        texts_removed=(" it went", words[-2]),
        texts_control=(" he went", words[-2]),
        side_effects=tuple((word, word, words[0], words[1]) for word in words),
        direction=vector,
        raw=vector * 3,
        usable=allowed,
        ablated=rng.normal(-6, 1, (2, n_layers)),
        added=rng.normal(-1, 1, (2, n_layers)),
        candidate_kl=np.full((2, n_layers), 0.04),
        before=np.array([-1.2, -6.0]),
        removed=np.array([-5.6, -6.1]),
        affine=np.array([-4.9, -6.0]),
        control=rng.normal([-1.2, -6.0], 0.1, (4, 2)),
        kl=np.array([0.07, 0.04, 0.03]),
        loss_increase=np.array([0.09, 0.05, 0.0]),
        side_kl=np.linspace(0.3, 0.1, len(words)).astype("float32"),
        curve_before=curves,
        curve_removed=curves * 0,
        curve_affine=curves * 0 - 3,
        projection_before=along,
        projection_removed=along * 0,
        projection_affine=along * 0 - 3,
    )


def erase(names: tuple[str, ...] = ("positive", "negative"), seed: int = 0) -> EraseResult:
    """Linear probes fall to chance, the network does not quite."""
    rng, n = np.random.default_rng(seed), 6
    high, low = np.full(n, 0.97), np.full(n, 0.5)
    methods = ("leace", "difference", "random", "inlp")
    left = _units(rng, n)[:, None]
    return EraseResult(
        request={},
        concept=names[0],
        classes=names,
        method="leace",
        position="last",
        n_train=36,
        n_test=24,
        n_neutral=96,
        seed=0,
        stack="",
        methods=methods,
        layer=np.arange(n),
        chance=np.array([0.5]),
        control=low + 0.03,
        linear_before=high,
        linear_after=low,
        mlp_before=high,
        mlp_after=low + 0.2,
        fresh_before=high,
        fresh_after=low + 0.05,
        accuracy=np.stack([low, low, high, low + 0.05]),
        moved=np.outer([0.03, 0.06, 0.005, 0.07], np.ones(n)),
        rank=np.outer([1, 1, 1, 10], np.ones(n, int)),
        loss_increase=np.array([0.12, 0.03, 0.1, 0.4]),
        kl=np.array([0.3, 0.1, 0.1, 0.7]),
        concept_kl=np.array([0.25, 0.25, 0.03, 0.3]),
        left=left,
        right=left,
        mean=_units(rng, n),
    )


def edited(words: tuple[str, ...] = PLAIN) -> EditedResult:
    """A folder that was written."""
    return EditedResult(
        request={},
        model="embedded",
        folder=f"/home/x/.eidoscope/edited/{words[1]}",
        files=("REPORT.md", "changes.json", "config.json", "model.safetensors"),
        changes=('api.Project("L0.resid_pre", [0.1, …)',),
        n_tokens=96,
        n_controls=4,
        seed=0,
        prompts=(words[1],),
        before=(words[2],),
        after=(words[3],),
        difference=np.array([2e-6]),
        largest=np.array([14.0]),
        kl=np.array([0.07, 0.03]),
        loss_increase=np.array([0.1, 0.0]),
        bytes=np.array([13_800_000]),
    )


def every() -> tuple[Result, ...]:
    """One of each kind that has a figure, plain and hostile."""
    return (
        direction(),
        direction(words=HOSTILE[1:], seed=1),
        direction(fixed=True),
        direction(40),
        guide(),
        guide(HOSTILE),
        remove(),
        remove(HOSTILE, usable=False),
        erase(),
        erase(HOSTILE[1:6]),
    )
