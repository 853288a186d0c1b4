"""A direction for a concept at every layer, and whether it holds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from core.analyses.contrast import (
    METHODS,
    SHUFFLES,
    Fit,
    Sides,
    auc,
    cosine,
    expected_cosine,
    held_out_auc,
    shuffled,
    signal_and_noise,
    split_half,
    unit,
)
from core.analyses.given import FIXED, Given, fixed, items
from core.analyses.made_of import Parts, made_of
from core.analyses.runs import Progress
from core.models.loaded import Loaded
from core.results.direction import DirectionResult

SIZES = (5, 10, 20, 50, 100, 200, 500, 1_000)


def direction(
    loaded: Loaded,
    progress: Progress,
    *,
    concept: Any = "",
    positive: Sequence[str] = (),
    negative: Sequence[str] = (),
    pairs: Sequence[Sequence[str]] = (),
    method: str = "difference",
    position: str = "last",
    other: Loaded | None = None,
    token: str = "",
    neuron: str = "",
    vectors: Sequence[Sequence[float]] = (),
    seed: int = 0,
) -> DirectionResult:
    """A unit vector per block output that leads from the negative items to the positive ones.

    concept, or positive= and negative=, or pairs=: the items; see `core.spec.concept`. Without
    negative ones: against the sentences of the reference text.
    method    "difference" of means (contrastive activation addition, Rimsky et al. 2023),
              "logistic", "pca" of the pair differences, "lda"; or not from the items: "token"
              (with token=), "neuron" (with neuron="L3.neuron[17]"), "random", "given" (vectors=)
    position  the state of a text: its "last" token, its "mean", or "-2", "-3", ...
    other     a second model of the same shape and tokenizer, by name: the direction leads from
              this model's states to the other's on the same texts (a shift vector)

    AUC on 5 folds, the halves of a pair together; the control repeats it on labels shuffled 20
    times. Split-half: cosine between the directions of two random halves, 20 times.
    """
    set_fixed = fixed(loaded, method, token, neuron, vectors, seed)
    given = items(
        loaded,
        progress,
        concept=concept,
        positive=positive,
        negative=negative,
        pairs=pairs,
        position=position,
        other=other,
        optional=set_fixed is not None,
    )
    layers = [
        _layer(given, layer, method, set_fixed, np.random.default_rng((seed, layer)), progress)
        for layer in range(len(given.norm))
    ]
    found = {name: np.stack([each[name] for each in layers]) for name in layers[0]}
    vector = torch.tensor(found["direction"], dtype=torch.float32)
    progress.step(0.9, "what the directions are made of")
    parts = made_of(loaded, progress, vector, seed=seed)
    return _result(loaded, given, method, position, other, seed, found, parts)


def _layer(
    given: Given,
    layer: int,
    method: str,
    set_fixed: torch.Tensor | None,
    rng: np.random.Generator,
    progress: Progress,
) -> dict[str, np.ndarray]:
    """Every measure of one layer, by the name of its array."""
    sides = given.sides(layer)
    fit = METHODS.get(method, _always(set_fixed, layer))

    def note(what: str) -> None:
        share = 0.3 + 0.6 * layer / len(given.norm)
        progress.step(share, f"layer {layer} of {len(given.norm) - 1}: {what}")

    note("direction")
    vector = unit(fit(sides))
    vectors = [unit(one(sides)) if sides.n else vector * np.nan for one in METHODS.values()]
    note("controls")
    controls = []
    for _ in range(SHUFFLES if sides.n else 0):
        progress.check()
        controls.append(_separation(shuffled(sides, rng), fit, rng, vector, method))
    note("the other methods")
    along = np.concatenate([sides.positive @ vector, sides.negative @ vector])
    up, down = np.split(along, [len(sides.positive)])
    known = bool(sides.n)
    return {
        "direction": vector,
        "separation": np.array(_separation(sides, fit, rng, vector, method) if known else np.nan),
        "control_separation": np.array(controls),
        "split_half": np.array(_halves(sides, fit, rng, method)),
        "consistency": np.array(_consistency(sides, vector)),
        "gap": np.array(up.mean() - down.mean() if known else np.nan),
        "spread": np.array(np.sqrt((up.var() + down.var()) / 2) if known else np.nan),
        "middle": np.array((up.mean() + down.mean()) / 2 if known else np.nan),
        "mean_positive": sides.positive.mean(axis=0) if known else vector * np.nan,
        "mean_negative": sides.negative.mean(axis=0) if known else vector * np.nan,
        "projection": along,
        "expected_cosine": _expected(sides),
        "method_cosine": np.array([[a @ b for b in vectors] for a in vectors]),
        "method_separation": np.array(
            [held_out_auc(sides, one, rng) if known else np.nan for one in METHODS.values()]
        ),
    }


def _always(set_fixed: torch.Tensor | None, layer: int) -> Fit:
    """A fit that gives the same vector whatever the items are."""

    def fit(_: Sides) -> np.ndarray:
        assert set_fixed is not None
        found: np.ndarray = set_fixed[layer].double().numpy()
        return found

    return fit


def _separation(
    sides: Sides, fit: Fit, rng: np.random.Generator, vector: np.ndarray, method: str
) -> float:
    """Held-out AUC; of a direction that is not built from the items, AUC on all of them."""
    if method in FIXED:
        return auc(sides.positive @ vector, sides.negative @ vector)
    return held_out_auc(sides, fit, rng)


def _halves(sides: Sides, fit: Fit, rng: np.random.Generator, method: str) -> float:
    if method in FIXED or not sides.n:
        return np.nan
    return split_half(sides, fit, rng)


def _consistency(sides: Sides, vector: np.ndarray) -> float:
    """Mean cosine of the single pair differences with the direction; NaN without pairs."""
    if not sides.paired or not sides.n:
        return np.nan
    apart = sides.positive - sides.negative
    return float(np.mean([cosine(one, vector) for one in apart]))


def _expected(sides: Sides) -> np.ndarray:
    if not sides.n:
        return np.full(len(SIZES), np.nan)
    signal, noise = signal_and_noise(sides)
    return np.array([expected_cosine(signal, noise, n) for n in SIZES])


def _result(
    loaded: Loaded,
    given: Given,
    method: str,
    position: str,
    other: Loaded | None,
    seed: int,
    found: dict[str, np.ndarray],
    parts: Parts,
) -> DirectionResult:
    vectors = found["direction"]
    return DirectionResult(
        request={},
        concept=given.name,
        sides=given.about,
        source=given.source,
        method=method,
        position=position,
        other="" if other is None else other.name,
        paired=given.paired,
        n_positive=given.n_positive,
        n_negative=given.n_negative,
        n_tokens=given.n_tokens,
        seed=seed,
        stack=loaded.prompt_stack,
        methods=tuple(METHODS),
        neurons=parts.neurons,
        raises=parts.raises,
        lowers=parts.lowers,
        mean_norm=given.norm.astype(np.float32),
        sizes=np.array(SIZES),
        layer_cosine=(vectors @ vectors.T).astype(np.float32),
        neuron_cosine=parts.cosine.numpy(),
        control_neuron_cosine=parts.chance_cosine.numpy(),
        raise_score=parts.raised.numpy(),
        lower_score=parts.lowered.numpy(),
        control_score=parts.chance_score.numpy(),
        **{name: values.astype(np.float32) for name, values in found.items()},
    )
