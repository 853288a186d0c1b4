"""Dose and response of one change: strength swept in both directions, beside controls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.neutral import LOSS_LIMIT, neutral_rows, side_effects
from core.analyses.runs import Progress, batches, divergence, log_probabilities, prompt_rows
from core.analyses.strength import Unit, everywhere, strength, unit_of, with_strength
from core.engine.readout import reading_matrix
from core.engine.rows import Rows
from core.engine.writes import neuron_writes
from core.models.loaded import Loaded
from core.models.tokens import known_ids, pieces
from core.results.dose import DoseResult
from core.spec.errors import Error
from core.spec.interventions import Add, Change, Clamp, Control, Intervention, Project
from kernels.lens_topk import lens_topk

STOPS = (-4.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
SHARES = (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
N_CONTROLS = 20
N_NEUTRAL_CONTROLS = 2
RANGE = (0.025, 0.975)  # of the controls, what a response has to lie beyond
N_TARGETS = 6
LEAST_GAIN = 0.01  # probability; less is no response anybody would use
LEAST_LOSS = 0.8  # of the clean probability: what a response below the controls may be at most


def dose(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str,
    interventions: Sequence[Change],
    item: int = 0,
    unit: float = 0.0,
    stops: Sequence[float] = (),
    seed: int = 0,
) -> DoseResult:
    """Next-token response to the strength of one tray item; the others stay as they are.

    A stop is a multiple of `unit` (0: the 99.9th percentile of the site's values on the reference
    text, see `core.analyses.strength`); without `stops` both directions are swept. Watched: the
    summed probability of the tokens a neuron writes most, if these carry a quarter of what the
    change raises, else of the tokens it raises most, averaged over the prompt's positions;
    KL(clean || changed) per token there, and KL and loss increase on a neutral text. 20 controls
    of equal norm at every second stop, 2 of them on the neutral text too.
    """
    if not 0 <= item < len(interventions):
        raise Error(f"there is no change number {item}; the tray holds {len(interventions)}")
    prompt, ids = prompt_rows(loaded, text)
    change = everywhere(interventions[item], len(ids))
    step = Unit(abs(unit), "the unit given") if unit else unit_of(loaded, progress, change)
    others = [one for number, one in enumerate(interventions) if number != item]
    sweep = _Sweep(loaded, progress, prompt, others, change, step, seed)
    default = SHARES if isinstance(change, Project) else STOPS
    return sweep.result(np.array(stops or default, dtype=np.float64), interventions[item])


@dataclass
class _Sweep:
    """The runs of one sweep: the changed prompt, its controls, and the neutral text."""

    loaded: Loaded
    progress: Progress
    prompt: Rows
    others: list[Change]
    change: Change
    step: Unit
    seed: int

    def result(self, stops: np.ndarray, asked: Change) -> DoseResult:
        clean, full = (self._log_p(each)[0] for each in (self.others, self._with(self.change)))
        targets, reason = _targets(self.loaded, self.change, clean, full)
        watch = _Watch(clean, targets, float(clean.exp()[:, targets].sum(-1).mean()))
        swept = [with_strength(self.change, self.step.origin + at * self.step.size) for at in stops]
        probability, kl = self._response(watch, [self._with(one) for one in swept], 0.0)
        held = np.unique([*range(0, len(stops), 2), len(stops) - 1])
        controls = [self._controls(swept[stop], N_CONTROLS) for stop in held]
        chance, chance_kl = self._response(watch, [row for rows in controls for row in rows], 0.2)
        chance, chance_kl = (found.reshape(len(held), -1) for found in (chance, chance_kl))
        low, high = np.quantile(chance, RANGE, axis=1)
        neutral_kl, loss, control_loss = self._neutral(swept, held)
        # Between the stops that have controls their range is taken as straight.
        floor, ceiling = (np.interp(stops, stops[held], edge) for edge in (low, high))
        state = _states(probability, watch.base, floor, ceiling, loss)
        return DoseResult(
            **self._labels(asked, clean, reason, targets),
            band=_band(stops, state, "raises"),
            lowering=_band(stops, state, "lowers"),
            best=best_of(stops, probability, watch.base, loss, state),
            state=state,
            stop=stops.astype(np.float32),
            probability=probability,
            base_probability=np.array([watch.base], dtype=np.float32),
            kl=kl,
            neutral_kl=neutral_kl,
            neutral_loss=loss,
            control_stop=stops[held].astype(np.float32),
            control_low=low.astype(np.float32),
            control_mean=chance.mean(axis=1),
            control_high=high.astype(np.float32),
            control_kl=chance_kl.mean(axis=1),
            control_neutral_loss=control_loss,
        )

    def _labels(
        self, asked: Change, clean: Tensor, reason: str, targets: list[int]
    ) -> dict[str, Any]:
        """What was asked, in which unit, and the sizes of all samples."""
        return {
            "request": {},
            "site": str(asked.site),
            "kind": type(asked).__name__.lower(),
            "where": asked.where,
            "unit": self.step.size,
            "unit_words": self.step.words,
            "origin": self.step.origin,
            "natural": self.step.natural,
            "stream_share": self.step.stream,
            "target": pieces(self.loaded, targets),
            "target_reason": reason,
            "n_tokens": clean.shape[0],
            "n_controls": N_CONTROLS,
            "n_neutral": neutral_rows(self.loaded).ids.shape[1],
            "n_neutral_controls": N_NEUTRAL_CONTROLS,
            "n_reference": self.step.n_tokens,
            "loss_limit": LOSS_LIMIT,
            "current": (strength(asked) - self.step.origin) / self.step.size,
        }

    def _with(self, one: Intervention) -> list[Intervention]:
        return [*self.others, one]

    def _controls(self, one: Change, n: int) -> list[list[Intervention]]:
        return [self._with(Control(one, self.seed * 100 + number)) for number in range(n)]

    def _log_p(self, changes: Sequence[Intervention]) -> Tensor:
        check = self.progress.check
        parts = batches(self.loaded, self.prompt, [changes], logits="all", check=check)
        return log_probabilities(torch.cat(list(parts)))

    def _response(
        self, watch: "_Watch", changes: list[list[Intervention]], done: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Summed probability of the targets and KL per token, one of each per row."""
        probability: list[Tensor] = []
        kl: list[Tensor] = []
        check = self.progress.check
        for logits in batches(self.loaded, self.prompt, changes, logits="all", check=check):
            self.progress.step(done + 0.5 * len(probability) / len(changes), "dose and response")
            log_p = log_probabilities(logits)
            probability += log_p[..., watch.targets].exp().sum(dim=-1).mean(dim=-1)
            kl += divergence(watch.clean, log_p).mean(dim=-1)
        return torch.stack(probability).cpu().numpy(), torch.stack(kl).cpu().numpy()

    def _neutral(
        self, swept: list[Change], held: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """KL [stop], loss increase [stop], and that of the controls, their mean [control stop]."""
        self.progress.step(0.7, "side effects on a neutral text")
        n = neutral_rows(self.loaded).ids.shape[1]
        swept = [everywhere(one, n) for one in swept]
        rows = [self._with(one) for one in swept]
        rows += [row for stop in held for row in self._controls(swept[stop], N_NEUTRAL_CONTROLS)]
        others = [everywhere(one, n) for one in self.others]
        kl, loss = side_effects(self.loaded, self.progress, others, rows)
        chance = loss[len(swept) :].reshape(len(held), -1).mean(axis=1)
        return kl[: len(swept)], loss[: len(swept)], chance


@dataclass(frozen=True)
class _Watch:
    """The clean run's log-probabilities [token, d_vocab], the tokens watched, their probability."""

    clean: Tensor
    targets: list[int]
    base: float


def _targets(loaded: Loaded, change: Change, clean: Tensor, full: Tensor) -> tuple[list[int], str]:
    """The tokens to watch, and why these.

    What a neuron writes, when that is how it acts: neurons of early layers speak to later ones,
    and the tokens their write vector points at may not move at all.
    """
    gain = (full.exp() - clean.exp()).mean(dim=0)
    raised = gain.topk(min(N_TARGETS, len(gain))).indices.tolist()
    written = _written(loaded, change)
    if written and float(gain[written].sum()) >= float(gain[raised].sum()) / 4:
        sign = " below zero" if strength(change) < 0 else ""
        return written, f"tokens the neuron writes most{sign}"
    return raised, "tokens the change raises most on this text"


def _written(loaded: Loaded, change: Change) -> list[int]:
    """The tokens a moved neuron's write vector points at; none for other changes."""
    site = change.site
    plain = site.component == "neuron" and site.unit is not None and not site.stack
    moved = isinstance(change, Clamp | Add)
    if not plain or not moved or loaded.head is None or loaded.row.head:
        return []
    words = known_ids(loaded)
    with loaded.busy():
        vector = neuron_writes(loaded, site.layer)[site.unit : site.unit + 1]  # type: ignore[operator]
        vector = -vector if strength(change) < 0 else vector
        _, top, _, _ = lens_topk(vector, reading_matrix(loaded), min(N_TARGETS, words), words)
    return [int(token) for token in top[0]]


def _states(
    probability: np.ndarray, base: float, low: np.ndarray, high: np.ndarray, loss: np.ndarray
) -> tuple[str, ...]:
    """Of every stop: "broken", "raises", "lowers" (both usable) or "no effect"."""
    states = []
    for p, floor, ceiling, worse in zip(probability, low, high, loss, strict=True):
        if not worse < LOSS_LIMIT:
            states.append("broken")
        elif p > max(ceiling, base + LEAST_GAIN):
            states.append("raises")
        elif base > LEAST_GAIN and p < min(floor, base * LEAST_LOSS):
            states.append("lowers")
        else:
            states.append("no effect")
    return tuple(states)


def _band(stops: np.ndarray, state: tuple[str, ...], wanted: str) -> tuple[float, ...]:
    """Lowest and highest stop in this state; () when none is."""
    found = [float(stop) for stop, one in zip(stops, state, strict=True) if one == wanted]
    return (min(found), max(found)) if found else ()


def best_of(
    stops: np.ndarray,
    probability: np.ndarray,
    base: float,
    loss: np.ndarray,
    state: tuple[str, ...],
) -> tuple[float, ...]:
    """The usable stop with the best compromise, () when none raises the watched tokens.

    Best is the largest harmonic mean of the share gained of what could be, (p - p0) / (1 - p0),
    and of fluency, exp(-loss increase) but at most 1.
    """
    usable = [number for number, one in enumerate(state) if one == "raises"]
    if not usable:
        return ()
    gained = (probability - base) / max(1e-9, 1 - base)
    fluent = np.minimum(1.0, np.exp(-loss))
    score = 2 * gained * fluent / np.maximum(gained + fluent, 1e-9)
    return (float(stops[max(usable, key=lambda number: score[number])]),)
