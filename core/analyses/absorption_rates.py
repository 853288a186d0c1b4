"""Absorption of one class, on values and activations alone: the definition.

After Chanin et al., "A is for Absorption" (2024), and SAEBench (Karvonen et al., 2025).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.analyses.probes import direction_of, fitted, linear
from core.analyses.scores import f1

MOST_MAIN, LEAST_GAIN = 10, 0.03
SILENT, LIKE, SHARE = 1e-8, 0.025, 0.4
ABSORBERS, ABSORBER_LIKE = 3, 0.1
L1 = 0.01
CANDIDATES = 200  # features that a sparse probe chooses from, by difference of means


@dataclass(frozen=True)
class Material:
    """x [text, d] is what the dictionary read, codes [text, feature], rows [feature, d]."""

    x: np.ndarray
    codes: np.ndarray
    rows: np.ndarray
    test: np.ndarray  # [text] bool


@dataclass(frozen=True)
class Class:
    """What was learned of a class on the training texts. direction [d] of length one."""

    direction: np.ndarray
    main: tuple[int, ...]
    right: np.ndarray  # held-out texts of the class that the probe gets right, by number
    along: np.ndarray  # [right] what they have along the direction, beyond the other texts' mean
    f1: float
    probe_f1: float


@dataclass(frozen=True)
class Rates:
    """silent, absorbed [right] bool, fraction [right], absorber [right], share [right]."""

    silent: np.ndarray
    absorbed: np.ndarray
    fraction: np.ndarray
    absorber: np.ndarray
    share: np.ndarray


def learned(of: Material, member: np.ndarray) -> Class:
    """The probe's direction and the main features of the texts `member` [text] bool."""
    train, test = ~of.test, of.test
    probe = fitted(linear(), of.x[train], member[train])
    direction = direction_of(probe)[0]
    direction = direction / max(float(np.linalg.norm(direction)), 1e-12)
    said = probe.predict(of.x[test])
    right = np.flatnonzero(test)[said & member[test]]
    middle = of.x[train & ~member].mean(axis=0)
    main, score = _main(of, member)
    return Class(
        direction, main, right, (of.x[right] - middle) @ direction, score, f1(said, member[test])
    )


def _main(of: Material, member: np.ndarray) -> tuple[tuple[int, ...], float]:
    """Features of a sparse probe, as long as one more raises F1 by 0.03; F1 of them, held out."""
    train, test = ~of.test, of.test
    order = _ranked(of.codes[train], member[train])
    best, held = 0.0, 0.0
    main: tuple[int, ...] = ()
    for k in range(1, min(MOST_MAIN, len(order)) + 1):
        chosen = order[:k]
        probe = fitted(linear(), of.codes[train][:, chosen], member[train])
        score = f1(probe.predict(of.codes[train][:, chosen]), member[train])
        if k > 1 and score < best + LEAST_GAIN:
            break
        best, main = score, tuple(int(one) for one in chosen)
        held = f1(probe.predict(of.codes[test][:, chosen]), member[test])
    return main, held


def _ranked(codes: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Features that fire, by their weight in a logistic regression with an L1 price."""
    from sklearn.linear_model import LogisticRegression

    gap = codes[member].mean(axis=0) - codes[~member].mean(axis=0)
    some = np.argsort(-gap, kind="stable")[:CANDIDATES]
    some = some[gap[some] > 0]
    if not len(some):
        return some
    scaled = codes[:, some] / np.maximum(codes[:, some].std(axis=0), 1e-12)
    price: Any = LogisticRegression(l1_ratio=1, C=1 / (L1 * len(codes)), solver="liblinear")
    weight = fitted(price, scaled, member).coef_[0]
    return some[np.argsort(-weight, kind="stable")][: max(1, int((weight > 0).sum()))]


def rates(of: Material, found: Class, rows: np.ndarray | None = None) -> Rates:
    """Where other features stand in for the main ones; `rows` in the place of the decoder's."""
    rows = of.rows if rows is None else rows
    codes = of.codes[found.right]
    length = np.maximum(np.linalg.norm(rows, axis=1), 1e-12)
    along = rows @ found.direction  # cosine times length
    cosine = along / length
    written = codes * along  # [right, feature] what each writes along the direction
    main = list(found.main)
    silent = (codes[:, main] < SILENT).all(axis=1)
    own = written[:, main].clip(0).sum(axis=1)
    written[:, main] = -np.inf
    absorber = written.argmax(axis=1)
    most = written[np.arange(len(codes)), absorber]
    share = most / np.maximum(found.along, 1e-12)
    absorbed = silent & (cosine[absorber] >= LIKE) & (share >= SHARE) & (found.along > 0)
    fits = np.where((cosine >= ABSORBER_LIKE)[None] & (written > 0), written, 0.0)
    stand_in = np.sort(fits, axis=1)[:, -ABSORBERS:].sum(axis=1)
    stand_in = np.where(stand_in >= SHARE * found.along, stand_in, 0.0)
    capped = np.minimum(stand_in, np.maximum(found.along - own, 0))
    whole = capped + own
    fraction = np.divide(capped, whole, out=np.zeros_like(whole), where=whole > 0)
    return Rates(silent, absorbed, fraction, absorber, share)
