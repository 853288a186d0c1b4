"""What one unit causes on the current text: activation and suppression, beside controls."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import (
    LOGITS_AT_ONCE,
    Progress,
    at_position,
    divergence,
    log_probabilities,
    logit_position,
    prompt_rows,
)
from core.analyses.strength import everywhere
from core.analyses.unit_cases import Case, cases
from core.engine.forward import run
from core.engine.readout import direct_effect, reads_directly
from core.engine.rows import Rows, repeated
from core.models.loaded import Loaded
from core.models.tokens import known_ids, pieces, special
from core.results.unit_effect import UnitEffect
from core.spec.interventions import Ablate, Change, Control, Intervention, Project, as_python
from core.spec.site import HEADS, NEURONS, Component, Site, site

N_TOP = 6
VALUES_AT_ONCE = 2**26  # numbers of the stream read at once, a quarter of a gigabyte in float32
LEAST_DIRECT = 0.01  # logits: below it there is no effect that could be repaired


def unit_effect(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str,
    at: str,
    interventions: Sequence[Change] = (),
    direction: Sequence[float] = (),
    position: int | None = None,
    where: str = "",
    seed: int = 0,
) -> UnitEffect:
    """What ablating, activating and suppressing one unit does to the predictions of a text.

    `at` names a neuron (also its up or gate), head, feature or stream coordinate; or a stream site
    with a `direction`. `interventions` hold in the clean run too; `where` as of a change. Each
    condition with 8 controls: for a neuron set to a value other neurons of the layer that usually
    write as much, else random changes that move the stream as far at every token.
    """
    place = replace(site(at), position=None)
    prompt, ids = prompt_rows(loaded, text)
    token = at_position(ids, position)
    made = cases(loaded, progress, place, direction, seed)
    done = [_somewhere(case, where) for case in made.cases]
    runs = _Runs(loaded, prompt, place, token, list(interventions), tuple(direction))
    seen = runs.measure([one for case in done for one in (case.change, *case.controls)], progress)
    return UnitEffect(
        request={},
        site=str(place),
        kind=made.kind,
        where=where,
        tokens=pieces(loaded, ids),
        special=special(loaded, ids),
        position=token,
        conditions=tuple(case.name for case in done),
        changes=tuple(as_python(case.change) for case in done),
        control_words=tuple(case.words for case in done),
        unit=made.unit,
        natural=made.natural,
        stack=place.stack,
        n_controls=len(done[0].controls),
        n_reference=made.n_reference,
        activation=runs.activation,
        layer=np.array([one.layer for one in runs.stream]),
        **_words(loaded, runs.log_p[0, runs.asked], seen, len(done)),
        **_sizes(done, seen),
    )


def _words(loaded: Loaded, clean: Tensor, seen: "_Seen", n: int) -> dict[str, Any]:
    """What happens to the clean run's top tokens, and which tokens move most."""
    words = known_ids(loaded)
    k = min(N_TOP, words)
    top = clean[:words].topk(k).indices
    after = torch.stack(seen.after).reshape(n, -1, len(clean))
    moved = after[:, 0].exp()[:, :words] - clean.exp()[:words]
    up, down = (moved.topk(k, largest=way).indices for way in (True, False))
    change = (after[..., top] - clean[top]).cpu().numpy()
    return {
        "answer": pieces(loaded, [int(top[0])])[0],
        "top": pieces(loaded, top.tolist()),
        "raised": tuple(pieces(loaded, row.tolist()) for row in up),
        "lowered": tuple(pieces(loaded, row.tolist()) for row in down),
        "top_probability": clean[top].exp().cpu().numpy(),
        "top_change": change[:, 0],
        "control_top_change": change[:, 1:].mean(axis=1),
        "raised_probability": _pairs(clean, after[:, 0], up),
        "lowered_probability": _pairs(clean, after[:, 0], down),
    }


def _sizes(done: Sequence[Case], seen: "_Seen") -> dict[str, Any]:
    """Effects of every condition and of its controls, as numbers."""

    def apart(values: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        stacked = np.array(values)
        rows = stacked.reshape(len(done), -1, *stacked.shape[1:])
        return rows[:, 0], rows[:, 1:]

    kl, kl_mean = apart(seen.kl), apart(seen.kl_mean)
    direct, total = apart(seen.direct), apart(seen.total)
    shift, cosine = apart(seen.shift), apart(seen.cosine)
    return {
        "kl": kl[0],
        "control_kl": kl[1],
        "kl_mean": kl_mean[0],
        "control_kl_mean": kl_mean[1],
        "direct": direct[0],
        "total": total[0],
        "control_total": total[1],
        "repair": _repair(done, direct[0], total[0]),
        "shift": shift[0],
        "cosine": cosine[0],
        "control_shift": shift[1].mean(axis=1),
        "control_cosine": cosine[1].mean(axis=1),
    }


def _somewhere(case: Case, where: str) -> Case:
    """The case at the tokens asked for; its controls follow."""
    if not where:
        return case
    change = everywhere(replace(case.change, where=where), 0)
    return replace(case, change=change, controls=tuple(_like(one, change) for one in case.controls))


def _like(control: Intervention, change: Change) -> Intervention:
    if isinstance(control, Control):
        return replace(control, of=change)
    return replace(control, where=change.where)


def _repair(done: Sequence[Case], direct: np.ndarray, total: np.ndarray) -> np.ndarray:
    """1 - total / direct of ablations; NaN of the rest and where there was nothing to repair."""
    there = np.array([_is_ablation(case) for case in done]) & (np.abs(direct) >= LEAST_DIRECT)
    return np.where(there, 1 - total / np.where(there, direct, 1.0), np.nan)


def _is_ablation(case: Case) -> bool:
    center_zero = isinstance(case.change, Project) and case.change.center == 0
    return isinstance(case.change, Ablate) or center_zero


def _pairs(clean: Tensor, after: Tensor, chosen: Tensor) -> np.ndarray:
    """[condition, k, 2] probability in the clean and in the changed run."""
    before = clean.exp()[chosen]
    return torch.stack([before, after.exp().gather(1, chosen)], dim=-1).cpu().numpy()


@dataclass
class _Seen:
    """What was measured of every row so far, one entry each."""

    after: list[Tensor]
    kl: list[float]
    kl_mean: list[float]
    direct: list[float]
    total: list[float]
    shift: list[np.ndarray]
    cosine: list[np.ndarray]


class _Runs:
    """Rows of one prompt under many single changes, measured against the clean row."""

    def __init__(
        self,
        loaded: Loaded,
        prompt: Rows,
        place: Site,
        token: int,
        base: list[Change],
        direction: tuple[float, ...],
    ) -> None:
        self.loaded, self.prompt, self.base = loaded, prompt, base
        self.place, self.direction = place, direction
        self.token, self.asked = token, logit_position(loaded, token)
        layers = range(place.layer, len(loaded.stacks[place.stack].blocks))
        self.stream = [Site(n, "resid_post", stack=place.stack) for n in layers]
        self.injected = replace(place.whole(), component=_writes_to(place))
        self.log_p, self.activation = torch.empty(0), np.empty(0)

    def measure(self, rows: list[Intervention], progress: Progress) -> _Seen:
        seen = _Seen([], [], [], [], [], [], [])
        tokens, d_model = self.prompt.ids.shape[1], self.loaded.d_model
        most = VALUES_AT_ONCE // (tokens * d_model * (len(self.stream) + 2))
        size = max(1, min(most, LOGITS_AT_ONCE // (tokens * self.loaded.d_vocab)) - 1)
        for start in range(0, len(rows), size):
            progress.step(start / len(rows), "what the unit causes")
            part = rows[start : start + size]
            self._part([self.base, *([*self.base, one] for one in part)], progress, seen)
        return seen

    def _part(
        self, changes: Sequence[Sequence[Intervention]], progress: Progress, seen: _Seen
    ) -> None:
        """Run the clean row and some others; append what they show."""
        read = [*dict.fromkeys([self.place, self.injected, *self.stream])]
        batch = repeated(self.prompt, len(changes))
        trace = run(self.loaded, batch, read=read, change=changes, check=progress.check)
        assert trace.logits is not None
        log_p = log_probabilities(trace.logits)
        kl = divergence(log_p[:1], log_p[1:])
        self.log_p, self.activation = log_p[:1], self._activation(trace.values[self.place][0])
        seen.after += log_p[1:, self.asked]
        seen.kl += kl[:, self.asked].tolist()
        seen.kl_mean += kl.mean(dim=-1).tolist()
        inside = trace.values[self.injected].float()
        moved = inside[1:] - inside[:1]
        seen.direct += self._direct(trace.values, moved)
        seen.total += self._total(trace.logits)
        ratios, cosines = zip(*(_carried(trace.values[s], moved) for s in self.stream), strict=True)
        seen.shift += [*np.stack(ratios, axis=1)]
        seen.cosine += [*np.stack(cosines, axis=1)]

    def _activation(self, values: Tensor) -> np.ndarray:
        values = values.float()
        if self.direction:
            vector = torch.tensor(self.direction, dtype=values.dtype, device=values.device)
            values = values @ (vector / vector.norm())
        return (values.norm(dim=-1) if values.ndim > 1 else values).cpu().numpy()

    def _direct(self, values: dict[Site, Tensor], moved: Tensor) -> list[float]:
        if self.place.stack or not reads_directly(self.loaded):
            return [np.nan] * len(moved)
        last = values[self.stream[-1]][:1, self.token].float()
        with self.loaded.busy():
            logits = direct_effect(
                self.loaded,
                last.expand(len(moved), -1).to(self._dtype()),
                moved[:, self.token].to(self._dtype()),
            ).float()
        return _centred(logits, int(self.log_p[0, self.asked].argmax())).tolist()

    def _total(self, logits: Tensor) -> list[float]:
        at = logits[:, self.asked].float()
        answer = _centred(at, int(self.log_p[0, self.asked].argmax()))
        return (answer[1:] - answer[0]).tolist()

    def _dtype(self) -> torch.dtype:
        return next(self.loaded.module.parameters()).dtype


def _centred(logits: Tensor, answer: int) -> Tensor:
    """The answer's logit against the mean of the vocabulary, [row]."""
    return logits[:, answer] - logits.mean(dim=-1)


def _writes_to(place: Site) -> Component:
    """Where in the stream the unit's own write joins it."""
    if place.component in NEURONS:
        return "mlp_out"
    if place.component in HEADS:
        return "attn_out" if place.component == "head" else "cross_out"
    return place.component


def _carried(stream: Tensor, moved: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """||dx|| / ||x|| and cosine of dx with the shift at the unit's place, [row] each.

    Means over the tokens at which the unit's write moved at all; 0 where it moved nowhere.
    """
    clean, change = stream[:1].float(), stream[1:].float() - stream[:1].float()
    there = (moved.norm(dim=-1) > 0).float()  # [row, token]
    count = there.sum(dim=-1).clamp_min(1)
    ratio = change.norm(dim=-1) / clean.norm(dim=-1).clamp_min(1e-12)
    cosine = torch.nn.functional.cosine_similarity(change, moved, dim=-1, eps=1e-12)
    means = ((values * there).sum(dim=-1) / count for values in (ratio, cosine))
    first, second = (values.cpu().numpy() for values in means)
    return first, second
