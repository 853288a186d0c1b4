"""What changed from one model to another of its architecture, and whether a shift reproduces it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from core.analyses import two_models
from core.analyses.contrast import (
    SHUFFLES,
    Sides,
    cosine,
    difference,
    held_out_auc,
    shuffled,
    split_half,
    unit,
)
from core.analyses.made_of import made_of
from core.analyses.runs import Progress
from core.analyses.shift_steer import adding, answers, random_like
from core.analyses.shift_units import changed
from core.analyses.states import states
from core.analyses.two_models import Items
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.results.shift import Shift
from core.spec.errors import Error

MOST = 400  # texts
LEAST = 4
MOST_TOKENS = 1_000
MOST_TESTED = 80  # texts on which steering is tested; each runs some fifty times
N_RANDOM = 3
DOSES = (0.25, 0.5, 1.0, 2.0, 4.0)


def shift(
    loaded: Loaded,
    progress: Progress,
    *,
    other: Loaded,
    texts: Sequence[str] = (),
    position: str = "last",
    most: int = MOST,
    seed: int = 0,
) -> Shift:
    """Difference-of-models directions, the units that changed most, and steering by the shift.

    other     the second model of this architecture and tokenizer, by name: a tuned one, another
              checkpoint
    texts     () for sentences of many kinds; texts of what was tuned say more
    position  the state of a text: its "last" token (where the shift is then added), or the "mean"
              over its tokens (added at every token)

    Mean shifts as steering vectors after Khayatan et al. 2025, "Analyzing Fine-tuning
    Representation Shift for Multimodal LLMs Steering". Directions come from half of the texts (all
    but 80 where there are many); the others test whether this model with the shift answers like
    the other one, beside random directions of the same length and each text's own shift.
    """
    asked = _asked(loaded, other, texts, position, most, seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(asked.n)
    half = max(asked.n // 2, asked.n - MOST_TESTED)
    found, tested = np.sort(order[:half]), np.sort(order[half:])
    ids = asked.ids[0]
    here = states(loaded, progress, ids, positions=(position,), share=(0.0, 0.1))
    there = states(other, progress, ids, positions=(position,), share=(0.1, 0.2))
    one, two = (seen.vectors[0].double().numpy() for seen in (here, there))
    norm = here.norm.double().numpy()
    notes = list(asked.notes)
    directions = _directions(one, two, found, norm, rng, progress)
    units: dict[str, Any] = _units(loaded, other, texts, seed, notes, progress)
    steered = _steering(
        loaded, other, progress, asked, (one, two), directions["direction"], tested, rng, notes
    )
    return Shift(
        request={},
        models=(loaded.name, other.name),
        same=two_models.same_weights(loaded, other),
        texts=asked.texts,
        source=asked.source,
        position=position,
        stack=loaded.prompt_stack,
        n_random=N_RANDOM,
        seed=seed,
        found=found,
        tested=tested,
        **directions,
        **_tokens(loaded, directions["direction"], seed, progress),
        **units,
        **steered,
        notes=tuple(notes),
    )


def _asked(
    loaded: Loaded, other: Loaded, texts: Sequence[str], position: str, most: int, seed: int
) -> Items:
    """The texts of a question that makes sense. Raises `Error` for one that does not."""
    if position not in ("last", "mean"):
        raise Error(f"a shift is read at 'last' or 'mean', not {str(position)[:20]!r}")
    if isinstance(most, bool) or not isinstance(most, int) or not LEAST <= most <= 5_000:
        raise Error(f"most= is a whole number from {LEAST} to 5,000, not {most!r:.20}")
    what = "a shift from one to the other is not defined"
    two_models.refuse(two_models.unlike_architectures(loaded, other), what)
    asked = two_models.items(loaded, other, texts, position, most, LEAST, seed)
    if not asked.same_tokens:
        raise Error(f"{loaded.name} and {other.name} split texts into different tokens, so {what}")
    return asked


def _tokens(
    loaded: Loaded, directions: np.ndarray, seed: int, progress: Progress
) -> dict[str, Any]:
    """What the directions raise and lower, beside random ones."""
    rows = np.stack([unit(row) for row in directions])
    parts = made_of(loaded, progress, torch.tensor(rows, dtype=torch.float32), seed=seed)
    return {
        "raises": parts.raises,
        "lowers": parts.lowers,
        "raise_score": parts.raised.numpy(),
        "lower_score": parts.lowered.numpy(),
        "control_score": parts.chance_score.numpy(),
    }


def _directions(
    one: np.ndarray,
    two: np.ndarray,
    found: np.ndarray,
    norm: np.ndarray,
    rng: np.random.Generator,
    progress: Progress,
) -> dict[str, Any]:
    """Of the texts of the first half; the other half only for how far its texts moved."""
    rows = []
    for layer, (a, b) in enumerate(zip(one, two, strict=True)):
        progress.step(0.2 + 0.1 * layer / len(one), f"direction behind layer {layer}")
        sides = Sides(b[found], a[found], paired=True)
        vector, apart, size = difference(sides), b - a, max(float(norm[layer]), 1e-12)
        rows.append(
            {
                "direction": vector,
                "length": np.linalg.norm(vector) / size,
                "consistency": _consistency(apart[found]),
                "control_consistency": np.mean(
                    [
                        _consistency(apart[found] * rng.choice((-1, 1), len(found))[:, None])
                        for _ in range(SHUFFLES)
                    ]
                ),
                "split_half": split_half(sides, difference, rng),
                "separation": held_out_auc(sides, difference, rng),
                "control_separation": [
                    held_out_auc(shuffled(sides, rng), difference, rng) for _ in range(SHUFFLES)
                ],
                "moved": np.linalg.norm(apart, axis=1) / size,
                "along": apart @ unit(vector) / size,
            }
        )
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _consistency(apart: np.ndarray) -> float:
    """Mean cosine of each shift with the mean of all the others."""
    whole = apart.sum(axis=0)
    found = [cosine(row, whole - row) for row in apart if np.any(row)]
    return float(np.mean(found)) if found else float("nan")


def _units(
    loaded: Loaded,
    other: Loaded,
    texts: Sequence[str],
    seed: int,
    notes: list[str],
    progress: Progress,
) -> dict[str, Any]:
    """Arrays [layer, unit] of heads and neurons; empty ones, and a note, where there are none."""
    asked = two_models.items(loaded, other, texts, "token", MOST_TOKENS, 1, seed)
    found: dict[str, Any] = {"n_tokens": asked.n}
    for name, share in (("head", (0.3, 0.45)), ("neuron", (0.45, 0.6))):
        try:
            seen = changed(loaded, other, name, asked, progress, share, seed)
        except Error as why:
            notes.append(str(why))
            empty = np.zeros((0, 0))
            values = [empty] * 4
        else:
            n_layers = len(loaded.stacks[loaded.prompt_stack].blocks)
            values = [
                part.reshape(n_layers, -1)
                for part in (seen.wrote, seen.chance, seen.weights, seen.unlike)
            ]
        names = [f"{front}{name}_{what}" for what in ("wrote", "weights")
                 for front in ("", "control_")]  # fmt: skip
        for kind, array in zip(names, values, strict=True):
            found[kind] = array
    return found


def _steering(
    loaded: Loaded,
    other: Loaded,
    progress: Progress,
    asked: Items,
    pair: tuple[np.ndarray, np.ndarray],
    directions: np.ndarray,
    tested: np.ndarray,
    rng: np.random.Generator,
    notes: list[str],
) -> dict[str, Any]:
    """Does this model, with the shift added, answer the tested texts like the other one?"""
    if loaded.kind != "decoder" or loaded.head is None:
        notes.append(f"no steering: {loaded.name} ({loaded.kind}) does not continue a text")
        return _unsteered(len(directions), len(tested))
    texts = [asked.ids[0][at] for at in tested]
    before, after = (answers(model, progress, texts) for model in (loaded, other))
    one, two = pair
    kl: dict[str, list[Any]] = {"steered": [], "random": [], "own": []}
    agree: dict[str, list[float]] = {"steered": [], "random": []}
    said: list[np.ndarray] = []

    def steered(layer: int, vectors: np.ndarray, dose: float = 1.0) -> Any:
        return answers(
            loaded, progress, texts, adding(loaded, texts, layer, vectors, dose, asked.position)
        )

    for layer, vector in enumerate(directions):
        progress.step(0.6 + 0.3 * layer / len(directions), f"the shift added behind layer {layer}")
        with_shift = steered(layer, vector)
        noise = [steered(layer, random_like(vector, one[layer], rng)) for _ in range(N_RANDOM)]
        said.append(with_shift.top)
        kl["steered"].append(after.kl(with_shift))
        kl["own"].append(after.kl(steered(layer, (two[layer] - one[layer])[tested])))
        kl["random"].append([after.kl(each).mean() for each in noise])
        agree["steered"].append(float((with_shift.top == after.top).mean()))
        agree["random"].append(float(np.mean([(each.top == after.top).mean() for each in noise])))
    best = int(np.argmin([row.mean() for row in kl["steered"]]))
    progress.step(0.9, f"doses behind layer {best}")
    drawn = [random_like(directions[best], one[best], rng) for _ in range(N_RANDOM)]
    doses = _doses(after, lambda each, dose: steered(best, each, dose), directions[best], drawn)
    return {
        **doses,
        **{f"kl_{name}": np.array(values) for name, values in kl.items()},
        **{f"agree_{name}": np.array(values) for name, values in agree.items()},
        "kl_before": after.kl(before),
        "agree_before": float((before.top == after.top).mean()),
        "answers_before": pieces(loaded, before.top.tolist()),
        "answers_after": pieces(other, after.top.tolist()),
        "answers_steered": pieces(loaded, said[best].tolist()),
    }


def _doses(
    after: Any, steered: Callable[[np.ndarray, float], Any], shift: np.ndarray, drawn: list[Any]
) -> dict[str, np.ndarray]:
    """KL that is left when multiples of the shift are added, and of random directions."""
    found = np.array([[after.kl(steered(each, dose)).mean() for each in (shift, *drawn)]
                      for dose in DOSES])  # fmt: skip
    return {"doses": np.array(DOSES), "kl_dose": found[:, 0], "kl_dose_random": found[:, 1:]}


def _unsteered(n_layers: int, n: int) -> dict[str, Any]:
    unknown = np.full((n_layers, n), np.nan)
    return {
        "kl_before": np.full(n, np.nan),
        "kl_steered": unknown,
        "kl_own": unknown,
        "kl_random": np.full((n_layers, N_RANDOM), np.nan),
        "agree_before": float("nan"),
        "agree_steered": np.full(n_layers, np.nan),
        "agree_random": np.full(n_layers, np.nan),
        "doses": np.array(DOSES),
        "kl_dose": np.full(len(DOSES), np.nan),
        "kl_dose_random": np.full((len(DOSES), N_RANDOM), np.nan),
        "answers_before": (),
        "answers_after": (),
        "answers_steered": (),
    }
