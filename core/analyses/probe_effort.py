"""What a probe needs to read one layer: texts, bits, dimensions; no model.

Every function takes a `Case` and the states of one layer; scores are AUCs of held-out texts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.analyses import probe_scores as scores
from core.analyses import probe_splits as splits
from core.analyses.probe_logistic import TOLERANCE
from core.analyses.probe_trained import Trained, trained

SIZES = (10, 20, 50, 100, 200, 500, 1_000, 2_000)
DIMENSIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
FRACTIONS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.0625, 0.125, 0.25, 0.5, 1.0)
PENALTIES = (1.0, 0.1, 0.01, 0.001)  # inverse, of which the code takes the shortest
LEAST = 4  # texts of the first block
ORDERS, SHUFFLES = 3, 20
FEW = 5  # shuffles where each costs many fits
Check = Callable[[], None]


@dataclass(frozen=True)
class Case:
    """label [text] 0 or 1, group [text], fold [text] in which a text is held out; sets [text, set]
    the labels, then shuffles of them; orders [order, text] in which texts are learned."""

    label: np.ndarray
    group: np.ndarray
    fold: np.ndarray
    sets: np.ndarray
    orders: np.ndarray
    drawn: np.ndarray

    @property
    def n_folds(self) -> int:
        return int(self.fold.max()) + 1


def case(label: np.ndarray, group: np.ndarray, fold: np.ndarray, seed: int) -> Case:
    """The shuffles and orders of a question."""
    rng = np.random.default_rng((seed, 11))
    mixed = splits.shuffled(label, fold, group, SHUFFLES, rng)
    orders = np.stack([_order(label, group, rng) for _ in range(ORDERS)])
    sets = np.concatenate([label[:, None], mixed], axis=1)
    return Case(label, group, fold, sets, orders, scores.draws(group, rng))


def _order(label: np.ndarray, group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Texts in random order, whole groups one after another, both classes evenly spread."""
    names, member = np.unique(group, return_inverse=True)
    share = np.bincount(member, weights=label) / np.bincount(member)
    kind = np.digitize(share, (0.5, 0.75))  # mostly one class, both, mostly the other
    place = np.empty(len(names))
    for one in np.unique(kind):
        here = np.flatnonzero(kind == one)
        place[here] = (rng.permutation(len(here)) + rng.uniform(size=len(here))) / len(here)
    return np.lexsort((rng.uniform(size=len(label)), place[member]))


def sizes(one: Case) -> np.ndarray:
    """How many texts are learned from, rising; the last is what a fold has."""
    least = min(int((one.fold != number).sum()) for number in range(one.n_folds))
    return np.array([*(size for size in SIZES if size < 0.9 * least), least])


def by_size(x: Tensor, one: Case, c: float, check: Check) -> dict[str, np.ndarray]:
    """size_auc, size_auc_low, size_auc_high [size] and control_size_auc [shuffle, size];
    chance_auc [] what 1 of 20 shuffles reaches with all texts of a fold."""
    wanted = sizes(one)
    real = [_of_sizes(x, one, order, one.sets[:, :1], wanted, c, check) for order in one.orders]
    margin = np.stack(real)[..., 0]  # [order, size, text]
    drawn = np.stack(
        [[scores.auc_draws(m[:, None], one.label, one.fold, one.drawn) for m in rows]
         for rows in margin]
    ).mean(axis=0)  # fmt: skip
    mixed = one.sets[:, 1 : 1 + FEW]
    shuffled = _of_sizes(x, one, one.orders[0], mixed, wanted, c, check)
    control = [
        [_auc(row[:, number], mixed[:, number], one) for row in shuffled]
        for number in range(mixed.shape[1])
    ]
    low, high = np.quantile(drawn, (0.025, 0.975), axis=1)
    own = np.array([[_auc(m, one.label, one) for m in rows] for rows in margin]).mean(axis=0)
    return {
        "size_auc": own,
        "size_auc_low": low,
        "size_auc_high": high,
        "control_size_auc": np.array(control),
        "chance_auc": np.quantile(_chance(x, one, c, check), 0.95),
    }


def _chance(x: Tensor, one: Case, c: float, check: Check) -> list[float]:
    mixed = one.sets[:, 1:]
    held = _held(x, one, mixed, c, check)
    return [_auc(held[:, row], mixed[:, row], one) for row in range(mixed.shape[1])]


def _of_sizes(
    x: Tensor, one: Case, order: np.ndarray, sets: np.ndarray, wanted: np.ndarray, c: float,
    check: Check,
) -> np.ndarray:  # fmt: skip
    """Held-out margins [size, text, set] of probes that saw the first texts of an order."""
    train = np.zeros((len(x), len(wanted), one.n_folds), dtype=bool)
    for fold in range(one.n_folds):
        own = order[one.fold[order] != fold]
        for row, size in enumerate(wanted):
            train[own[:size] if row + 1 < len(wanted) else own, row, fold] = True
    each = train.reshape(len(x), -1)
    labels = np.repeat(sets, each.shape[1], axis=1)
    fits = _trained(x, labels, np.tile(each, (1, sets.shape[1])), c, check)
    shaped = fits.margin(x).cpu().numpy()
    shaped = shaped.reshape(len(x), sets.shape[1], len(wanted), one.n_folds)
    held = shaped[np.arange(len(x)), :, :, one.fold]  # [text, set, size]
    return np.asarray(held.transpose(2, 0, 1))


def ends(one: Case, order: np.ndarray) -> np.ndarray:
    """Where the blocks of the code end, whole groups each; the first has both classes."""
    n, group, label = len(order), one.group[order], one.label[order]
    whole = np.append(np.flatnonzero(group[1:] != group[:-1]) + 1, n)
    both = int(max((label == 0).argmax(), (label == 1).argmax())) + 1
    least = max(LEAST, both)
    found = {n}
    for share in FRACTIONS:
        wanted = max(least, share * n)
        found.add(int(whole[np.searchsorted(whole, wanted)]) if wanted < n else n)
    return np.array(sorted(found))


def bits(x: Tensor, one: Case, check: Check) -> dict[str, np.ndarray]:
    """Bits a text of the online code: bits [order] and control_bits [shuffle].

    Every block is written with the probe of all texts before it, the first with one bit each;
    which of `PENALTIES` was used costs its own bits.
    """
    real = [_code(x, one, order, one.sets[:, :1], check)[0] for order in one.orders]
    return {
        "bits": np.array(real),
        "control_bits": _code(x, one, one.orders[0], one.sets[:, 1:], check),
    }


def _code(x: Tensor, one: Case, order: np.ndarray, sets: np.ndarray, check: Check) -> np.ndarray:
    """Bits a text [set] at the best penalty."""
    stops = ends(one, order)
    if len(stops) == 1:  # one block: nothing to learn from
        return np.ones(sets.shape[1])
    seen = np.arange(len(x))[:, None] < stops[:-1]  # [place, block]
    train = np.zeros_like(seen)
    train[order] = seen
    labels = np.repeat(sets, len(stops) - 1, axis=1)
    block = np.searchsorted(stops, np.arange(len(x)), side="right")  # [place]
    later = block > 0
    lengths = []
    for c in PENALTIES:
        fits = _trained(x, labels, np.tile(train, (1, sets.shape[1])), c, check)
        margin = fits.margin(x).cpu().numpy().reshape(len(x), sets.shape[1], -1)[order]
        own = margin[np.flatnonzero(later), :, block[later] - 1]  # [place, set]
        sign = np.where(sets[order][later] == 1, 1.0, -1.0)
        lengths.append(np.logaddexp(0, -sign * own).sum(axis=0) / np.log(2))
    shortest = np.min(lengths, axis=0) + stops[0] + np.log2(len(PENALTIES))
    return np.asarray(shortest / len(x))


def dimensions(x: Tensor) -> np.ndarray:
    """How many dimensions are kept, up to what the states have."""
    most = min(x.shape[1], len(x) - 1)
    return np.array([*(k for k in DIMENSIONS if k < most), most])


def by_dimension(x: Tensor, one: Case, c: float, seed: int, check: Check) -> dict[str, np.ndarray]:
    """dimension_auc [k] of the leading principal components of all states (which see no label),
    random_dimension_auc [k] of as many random directions, control_dimension_auc [shuffle, k]."""
    wanted = dimensions(x)
    wide = x.double() - x.double().mean(dim=0)
    _, _, turn = torch.linalg.svd(wide, full_matrices=False)
    drawn = np.random.default_rng((seed, 12)).normal(size=(x.shape[1], int(wanted[-1])))
    chance = torch.linalg.qr(torch.from_numpy(drawn).to(wide))[0].T
    own, other, control = [], [], []
    for k in wanted:
        check()
        kept = _held(_within(wide, turn[:k]), one, one.sets[:, : 1 + FEW], c, check)
        aucs = [_auc(kept[:, row], one.sets[:, row], one) for row in range(1 + FEW)]
        own.append(aucs[0])
        control.append(aucs[1:])
        some = _held(_within(wide, chance[:k]), one, one.sets[:, :1], c, check)
        other.append(_auc(some[:, 0], one.label, one))
    return {
        "dimension_auc": np.array(own),
        "random_dimension_auc": np.array(other),
        "control_dimension_auc": np.array(control).T,
    }


def _within(x: Tensor, axes: Tensor) -> Tensor:
    """x [text, d] in the span of axes [k, d], in the channels it had: a probe that standardises
    channels treats the span as it treats the whole, and noise is not made as loud as the rest."""
    return (x @ axes.T) @ axes


def _held(x: Tensor, one: Case, sets: np.ndarray, c: float, check: Check) -> np.ndarray:
    """Held-out margins [text, set]."""
    apart = one.fold[:, None] != np.arange(one.n_folds)
    labels = np.repeat(sets, one.n_folds, axis=1)
    fits = _trained(x, labels, np.tile(apart, (1, sets.shape[1])), c, check)
    shaped = fits.margin(x).cpu().numpy().reshape(len(x), sets.shape[1], -1)
    found: np.ndarray = shaped[np.arange(len(x)), :, one.fold]
    return found


def _trained(x: Tensor, labels: np.ndarray, train: np.ndarray, c: float, check: Check) -> Trained:
    return trained(x, labels, train, "logistic", c, tolerance=TOLERANCE, check=check)


def _auc(margin: np.ndarray, label: np.ndarray, one: Case) -> float:
    return float(np.nanmean(scores.auc(margin[:, None], label, one.fold)))
