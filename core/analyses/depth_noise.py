"""How fragile is a depth? The same curve on noisy texts and on weights of fewer bits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses import probe_scores as scores
from core.analyses import probe_splits as splits
from core.analyses.depth_floors import floors
from core.analyses.depth_given import read
from core.analyses.perturbed import CHANGES, perturbed
from core.analyses.probe_asked import Sides, sides, stream_names
from core.analyses.probe_logistic import TOLERANCE
from core.analyses.probe_trained import trained
from core.analyses.runs import Progress
from core.analyses.states import states
from core.models.loaded import Loaded
from core.models.squeezed import BITS, squeezed
from core.results.depth_noise import DepthNoise
from core.results.depth_summary import summary
from core.spec.errors import Error

WEIGHTS = {f"{bits} bits": bits for bits in BITS}
AGAIN = "other folds"
SHUFFLES = 20
POINTS = ("half_rise", "peak")
_TINY = 1e-6  # of the length of the states: less is one and the same token everywhere


def depth_noise(
    loaded: Loaded,
    progress: Progress,
    *,
    labelled: Any = "",
    concept: Any = "",
    texts: Sequence[str] = (),
    labels: Sequence[Any] = (),
    groups: Sequence[Any] | None = None,
    words: Sequence[str] | str = (),
    positive: str = "",
    position: str = "",
    changes: Sequence[str] = (*CHANGES, *WEIGHTS),
    C: float = 1.0,
    folds: int = 5,
    seed: int = 0,
    too_long: str = "cut",
) -> DepthNoise:
    """AUC by layer of a logistic probe under each change, and how far its rise moves.

    labelled, concept, texts with labels and groups, positive, position: as in `probe_family`
    changes   of the texts: "letters", "typos", "sentence", "words"; of the block weights: "16 bits"
              (bfloat16), "8 bits", "4 bits" (rounded by output row, computed with as before)

    Learned anew on what is changed, after "Exploring Concept Depth" (Jin et al. 2024), and learned
    on what is clean. Control: the clean texts once more in other folds; shuffled labels.
    """
    wanted = [changes] if isinstance(changes, str) else list(dict.fromkeys(changes))
    known = (*CHANGES, *WEIGHTS)
    if strange := [one for one in wanted if one not in known] or (not wanted and [""]):
        raise Error(f"no change {str(strange[0])[:40]!r}; there are {', '.join(known)}")
    if not (isinstance(C, int | float) and 1e-6 <= C <= 1e6):
        raise Error(f"C= is a number from 0.000001 to 1,000,000, not {C!r}")
    one = sides(
        loaded, labelled=labelled, concept=concept, texts=texts, labels=labels, groups=groups,
        words=words, positive=positive, position=position, too_long=too_long, folds=folds,
        seed=seed,
    )  # fmt: skip
    work = _Work(loaded, progress, one, C, seed, too_long, list(one.notes))
    clean = work.vectors(loaded, one, (0.0, 1 / (len(wanted) + 1)))
    work.clean(clean)
    for number, name in enumerate(wanted, start=1):
        share = (number / (len(wanted) + 1), (number + 1) / (len(wanted) + 1))
        seen = work.changed(name, share)
        if seen is not None:
            work.add(name, clean, seen)
    return work.result()


@dataclass
class _Curve:
    """Under one condition: AUC [layer] and over draws [layer, draw], of a probe learned there and
    of one learned on what is clean."""

    name: str
    auc: np.ndarray
    drawn: np.ndarray
    kept: np.ndarray
    kept_drawn: np.ndarray
    moved: np.ndarray  # [layer] how far states move, in deviations of the clean ones


class _Work:
    """Curves one after another, all on the same folds and draws."""

    def __init__(
        self, loaded: Loaded, progress: Progress, one: Sides, c: float, seed: int, too_long: str,
        notes: list[str],
    ) -> None:  # fmt: skip
        self.loaded, self.progress, self.one, self.c = loaded, progress, one, c
        self.seed, self.too_long, self.notes = seed, too_long, notes
        self.drawn = scores.draws(one.group, np.random.default_rng((seed, 32)))
        self.curves: list[_Curve] = []

    def vectors(self, model: Loaded, one: Sides, share: tuple[float, float]) -> Tensor:
        """[layer, text, d_model]"""
        end = share[0] + 0.6 * (share[1] - share[0])
        seen = states(
            model, self.progress, one.read.ids, positions=(one.read.position,), embedding=True,
            share=(share[0], end),
        )  # fmt: skip
        return seen.vectors[0]

    def changed(self, name: str, share: tuple[float, float]) -> Tensor | None:
        """States under a change; None, and a note, where it cannot be made."""
        one = self.one
        if name in CHANGES:
            given = perturbed(one.given, name, self.seed)
            seen = read(self.loaded, given, one.read.asked, self.too_long)
            noisy = Sides(
                given, seen, one.positive, one.negative, one.label, one.group, one.fold, ()
            )
            return self.vectors(self.loaded, noisy, share)
        twin, why = squeezed(self.loaded, WEIGHTS[name])
        if twin is None:
            self.notes.append(why)
            return None
        return self.vectors(twin, one, share)

    def clean(self, x: Tensor) -> None:
        """The clean curve, the same in other folds, and shuffled labels."""
        one = self.one
        self.curves.append(self._curve("clean", x, x, one.fold))
        names = (one.negative, one.positive)
        again = splits.folds(one.label, one.group, one.n_folds, self.seed + 1, names)
        self.curves.append(self._curve(AGAIN, x, x, again))
        rng = np.random.default_rng((self.seed, 33))
        mixed = splits.shuffled(one.label, one.fold, one.group, SHUFFLES, rng)
        rows = []
        for layer in x:
            margin = self._held(layer, layer, mixed, one.fold)
            rows.append([_auc(margin[:, row], mixed[:, row], one.fold) for row in range(SHUFFLES)])
        self.control = np.array(rows).T

    def add(self, name: str, clean: Tensor, x: Tensor) -> None:
        self.curves.append(self._curve(name, clean, x, self.one.fold))

    def _curve(self, name: str, clean: Tensor, x: Tensor, fold: np.ndarray) -> _Curve:
        label, own, kept = self.one.label[:, None], [], []
        for before, after in zip(clean, x, strict=True):
            self.progress.check()
            own.append(self._held(after, after, label, fold)[:, 0])
            kept.append(own[-1] if x is clean else self._held(before, after, label, fold)[:, 0])
        size = clean.double().square().mean(dim=(1, 2)).sqrt()
        apart = (x - clean).double().square().mean(dim=(1, 2)).sqrt()
        spread = (clean - clean.mean(dim=1, keepdim=True)).double().square().mean(dim=(1, 2)).sqrt()
        return _Curve(
            name, *self._scored(np.stack(own), fold), *self._scored(np.stack(kept), fold),
            (apart / torch.where(spread > _TINY * size, spread, torch.nan)).numpy(),
        )  # fmt: skip

    def _scored(self, margin: np.ndarray, fold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        label = self.one.label
        drawn = [scores.auc_draws(row[:, None], label, fold, self.drawn) for row in margin]
        return np.array([_auc(row, label, fold) for row in margin]), np.stack(drawn)

    def _held(
        self, learned: Tensor, asked: Tensor, sets: np.ndarray, fold: np.ndarray
    ) -> np.ndarray:
        """Held-out margins [text, set]: learned on some states, asked about others."""
        n = int(fold.max()) + 1
        train = np.tile(fold[:, None] != np.arange(n), (1, sets.shape[1]))
        fits = trained(
            learned, np.repeat(sets, n, axis=1), train, "logistic", self.c, tolerance=TOLERANCE,
            check=self.progress.check,
        )  # fmt: skip
        shaped = fits.margin(asked).cpu().numpy().reshape(len(fold), sets.shape[1], n)
        found: np.ndarray = shaped[np.arange(len(fold)), :, fold]
        return found

    def result(self) -> DepthNoise:
        one = self.one
        lowest = floors(one.given.texts, one.read.types, one.label, one.fold, 2)[1]
        floor = float(np.nanmax(lowest))
        values, many = zip(*(_points(curve, floor) for curve in self.curves), strict=True)
        points, drawn = np.stack(values), np.stack(many)  # [condition, point(, draw)]
        shift = drawn - drawn[:1]

        def of(name: str) -> np.ndarray:
            return np.stack([getattr(curve, name) for curve in self.curves])

        def ends(found: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
            """Percentiles over draws (last axis), NaN where a depth is not reached in most."""
            seen = np.isfinite(found).mean(axis=-1) > 0.5
            filled = np.where(seen[..., None], found, 0.0)
            both = np.nanquantile(filled, (low, high), axis=-1)
            return np.where(seen, both[0], np.nan), np.where(seen, both[1], np.nan)

        low, high = ends(of("drawn"), 0.025, 0.975)
        shift_low, shift_high = ends(shift, 0.05, 0.95)
        return DepthNoise(
            request={},
            **one.facts(),
            c=float(self.c),
            seed=self.seed,
            sites=stream_names(self.loaded),
            conditions=tuple(curve.name for curve in self.curves),
            points=POINTS,
            n_shuffles=SHUFFLES,
            notes=tuple(self.notes),
            floor_auc=lowest,
            auc=of("auc"),
            auc_low=low,
            auc_high=high,
            kept_auc=of("kept"),
            moved=of("moved"),
            control_auc=self.control,
            point=points,
            shift=points - points[:1],
            shift_low=shift_low,
            shift_high=shift_high,
        )


def _points(curve: _Curve, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """Half-rise (in layers) and highest AUC: values [point], and over draws [point, draw]."""

    def of(values: np.ndarray) -> tuple[float, float]:
        found = summary(values, values, floor)
        return found["half_rise"], float(values.max())

    each = np.array([of(row) for row in curve.drawn.T]).T
    return np.array(of(curve.auc)), each


def _auc(margin: np.ndarray, label: np.ndarray, fold: np.ndarray) -> float:
    return float(np.nanmean(scores.auc(margin[:, None], label, fold)))
