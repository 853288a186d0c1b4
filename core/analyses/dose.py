"""Dose and response of one change: strength swept in both directions, beside controls."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import Progress, batches, divergence, log_probabilities, prompt_rows
from core.engine.readout import reading_matrix
from core.engine.rows import Rows
from core.engine.writes import neuron_writes
from core.models.loaded import Loaded
from core.models.tokens import known_ids, pieces
from core.results.dose import DoseResult
from core.spec.errors import Error
from core.spec.interventions import Add, Change, Clamp, Control, Intervention, Scale
from kernels.lens_topk import lens_topk

STOPS = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
N_CONTROLS = 4
N_TARGETS = 6
LEAST_GAIN = 0.01  # probability; less is no response anybody would use
KL_LIMIT = 1.0  # nats per token: beyond it the text is usually no longer the model's own


def dose(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str,
    interventions: Sequence[Change],
    item: int = 0,
    unit: float = 0.0,
    stops: Sequence[float] = STOPS,
    seed: int = 0,
) -> DoseResult:
    """Next-token response to the strength of one tray item; the others stay as they are.

    A stop is a multiple of `unit` (the observed maximum of the site; 0: the item's own strength).
    Watched: the summed probability of the tokens a neuron writes most, if these carry a quarter
    of what the change raises, else of the tokens it raises most, averaged over the prompt's
    positions; KL(clean || changed) per token. All stops and their controls of equal norm run as
    rows of one batch.
    """
    if not 0 <= item < len(interventions):
        raise Error(f"there is no change number {item}; the tray holds {len(interventions)}")
    change = interventions[item]
    own = _strength(change)
    unit = abs(unit) or abs(own) or 1.0
    prompt, _ids = prompt_rows(loaded, text)
    others = [one for number, one in enumerate(interventions) if number != item]
    clean = _log_p(loaded, progress, prompt, [others])[0]
    full = _log_p(loaded, progress, prompt, [[*others, change]])[0]
    targets, reason = _targets(loaded, change, clean, full)
    rows = _rows(change, others, [stop * unit for stop in stops], seed)
    probability, kl = _response(loaded, progress, prompt, rows, clean, targets)
    shape = (len(stops), 1 + N_CONTROLS)
    probability, kl = probability.reshape(shape), kl.reshape(shape)
    base = float(clean.exp()[:, targets].sum(-1).mean())
    return DoseResult(
        request={},
        site=str(change.site),
        unit=unit,
        target=pieces(loaded, targets),
        target_reason=reason,
        n_tokens=clean.shape[0],
        n_controls=N_CONTROLS,
        kl_limit=KL_LIMIT,
        current=own / unit,
        band=_band(np.array(stops), probability, kl, base),
        stop=np.array(stops, dtype=np.float32),
        probability=probability[:, 0],
        base_probability=np.array([base], dtype=np.float32),
        control_low=probability[:, 1:].min(axis=1),
        control_mean=probability[:, 1:].mean(axis=1),
        control_high=probability[:, 1:].max(axis=1),
        kl=kl[:, 0],
        control_kl=kl[:, 1:].mean(axis=1),
    )


def _strength(change: Change) -> float:
    match change:
        case Clamp(value=value):
            return value
        case Scale(factor=factor):
            return factor
        case Add(coefficient=coefficient):
            return coefficient
    raise Error(f"{change.site}: {type(change).__name__.lower()} has no strength to sweep")


def _with_strength(change: Change, strength: float) -> Change:
    match change:
        case Clamp():
            return replace(change, value=strength)
        case Scale():
            return replace(change, factor=strength)
        case Add():
            return replace(change, coefficient=strength)
    raise TypeError(f"no strength in {change!r}")


def _rows(
    change: Change, others: list[Change], strengths: list[float], seed: int
) -> list[list[Intervention]]:
    """For every strength the change itself and then its controls."""
    rows: list[list[Intervention]] = []
    for strength in strengths:
        one = _with_strength(change, strength)
        rows.append([*others, one])
        rows += [[*others, Control(one, seed * 100 + number)] for number in range(N_CONTROLS)]
    return rows


def _log_p(
    loaded: Loaded, progress: Progress, prompt: Rows, changes: Sequence[Sequence[Intervention]]
) -> Tensor:
    parts = batches(loaded, prompt, changes, logits="all", check=progress.check)
    return log_probabilities(torch.cat(list(parts)))


def _targets(loaded: Loaded, change: Change, clean: Tensor, full: Tensor) -> tuple[list[int], str]:
    """The tokens to watch, and why these.

    What a neuron writes, when that is how it acts: neurons of early layers speak to later ones,
    and the tokens their write vector points at may not move at all.
    """
    gain = (full.exp() - clean.exp()).mean(dim=0)
    raised = gain.topk(min(N_TARGETS, len(gain))).indices.tolist()
    written = _written(loaded, change)
    if written and float(gain[written].sum()) >= float(gain[raised].sum()) / 4:
        sign = " below zero" if _strength(change) < 0 else ""
        return written, f"tokens the neuron writes most{sign}"
    return raised, "tokens the change raises most on this text"


def _written(loaded: Loaded, change: Change) -> list[int]:
    """The tokens a clamped neuron's write vector points at; none for other changes."""
    site = change.site
    plain = site.component == "neuron" and site.unit is not None and not site.stack
    if not plain or loaded.head is None or loaded.row.head:
        return []
    words = known_ids(loaded)
    with loaded.busy():
        vector = neuron_writes(loaded, site.layer)[site.unit : site.unit + 1]  # type: ignore[operator]
        vector = -vector if _strength(change) < 0 else vector
        _, top, _, _ = lens_topk(vector, reading_matrix(loaded), min(N_TARGETS, words), words)
    return [int(token) for token in top[0]]


def _response(
    loaded: Loaded,
    progress: Progress,
    prompt: Rows,
    changes: list[list[Intervention]],
    clean: Tensor,
    targets: list[int],
) -> tuple[np.ndarray, np.ndarray]:
    """Summed probability of the targets and KL per token, one of each per row."""
    probability: list[Tensor] = []
    kl: list[Tensor] = []
    for logits in batches(loaded, prompt, changes, logits="all", check=progress.check):
        progress.step(len(probability) / len(changes), "dose and response")
        log_p = log_probabilities(logits)
        probability += log_p[..., targets].exp().sum(dim=-1).mean(dim=-1)
        kl += divergence(clean, log_p).mean(dim=-1)
    return torch.stack(probability).cpu().numpy(), torch.stack(kl).cpu().numpy()


def _band(
    stops: np.ndarray, probability: np.ndarray, kl: np.ndarray, base: float
) -> tuple[float, ...]:
    """Lowest and highest stop that gains a point over clean run and controls in whole text."""
    beats = probability[:, 0] > np.maximum(probability[:, 1:].max(axis=1), base) + LEAST_GAIN
    usable = stops[beats & (kl[:, 0] < KL_LIMIT)]
    return (float(usable.min()), float(usable.max())) if len(usable) else ()
