"""Directions between two sets of vectors, against planted truth."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from core.analyses.contrast import (
    METHODS,
    Sides,
    auc,
    cosine,
    difference,
    expected_cosine,
    folds,
    held_out_auc,
    lda,
    logistic,
    pca,
    shuffled,
    signal_and_noise,
    split_half,
)

D = 64


def planted(
    n: int, gap: float = 2.0, seed: int = 0, d: int = D, nuisance: float = 0.0, paired: bool = False
) -> tuple[Sides, np.ndarray]:
    """Two isotropic Gaussian classes `gap` apart along a known direction.

    `nuisance` is the spread of a second direction that has nothing to do with the classes; in
    pairs both halves share it.
    """
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(d, 2)))[0].T
    noise = rng.normal(size=(2, n, d))
    shared = rng.normal(size=(n, 1)) * nuisance
    other = shared if paired else rng.normal(size=(n, 1)) * nuisance
    positive = noise[0] + gap / 2 * axes[0] + shared * axes[1]
    negative = noise[1] - gap / 2 * axes[0] + other * axes[1]
    return Sides(positive, negative, paired), axes[0]


@pytest.mark.parametrize(("n", "published"), [(400, 0.96), (40, 0.75)])
def test_the_difference_of_means_finds_a_planted_direction_as_well_as_it_can(n, published):
    # Two unit-variance classes 2 apart in 64 dimensions: cosine 2 / sqrt(4 + 128 / n).
    found = [cosine(difference(sides), v) for sides, v in (planted(n, seed=s) for s in range(20))]
    assert np.mean(found) == pytest.approx(published, abs=0.03)
    assert expected_cosine(4.0, 2 * D, n) == pytest.approx(published, abs=0.03)


@pytest.mark.parametrize("paired", [False, True])
def test_how_many_items_are_needed_is_foretold_from_few(paired):
    few = [signal_and_noise(planted(60, seed=s, paired=paired)[0]) for s in range(10)]
    signal, noise = np.mean(few, axis=0)
    assert signal == pytest.approx(4.0, rel=0.15)
    assert noise == pytest.approx(2 * D, rel=0.05)
    assert expected_cosine(signal, noise, 400) == pytest.approx(0.96, abs=0.01)


def test_with_few_items_in_a_wide_model_the_direction_is_mostly_noise():
    sides, _ = planted(8, gap=1.0, d=1_000)
    assert split_half(sides, difference, np.random.default_rng(0)) < 0.1


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_a_clear_direction_and_foretells_held_out_items(method):
    sides, truth = planted(200, gap=4.0, paired=True)
    fit, rng = METHODS[method], np.random.default_rng(0)
    assert cosine(fit(sides), truth) > 0.9
    assert held_out_auc(sides, fit, rng) > 0.97
    control = [held_out_auc(shuffled(sides, rng), fit, rng) for _ in range(10)]
    assert np.mean(control) == pytest.approx(0.5, abs=0.05)


def test_principal_components_fail_where_a_larger_nuisance_is_not_paired():
    sides, truth = planted(200, gap=2.0, nuisance=4.0)
    pairs, same = planted(200, gap=2.0, nuisance=4.0, paired=True)
    assert abs(cosine(pca(sides), truth)) < 0.2
    assert cosine(pca(pairs), same) > 0.8
    assert cosine(lda(sides), truth) > 0.8


def test_held_out_auc_of_noise_is_chance_though_the_training_items_are_told_apart():
    held = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        sides = Sides(rng.normal(size=(40, 300)), rng.normal(size=(40, 300)), paired=False)
        vector = difference(sides)
        assert auc(sides.positive @ vector, sides.negative @ vector) > 0.95
        held.append(held_out_auc(sides, difference, rng))
    assert np.mean(held) == pytest.approx(0.5, abs=0.06)


def test_the_control_scatters_as_much_as_chance_does():
    # Few items: held-out AUC of pure noise may be far from 0.5, and the control says so.
    rng = np.random.default_rng(0)
    sides = Sides(rng.normal(size=(10, 300)), rng.normal(size=(10, 300)), paired=True)
    control = [held_out_auc(shuffled(sides, rng), difference, rng) for _ in range(40)]
    assert np.ptp(control) > 0.3


def test_halves_of_a_pair_stay_in_one_fold():
    # Pairs whose halves share a large part: split apart, the held-out half would be known.
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(30, 200)) * 10
    sides = Sides(shared + rng.normal(size=shared.shape), shared, paired=True)
    for train, test in folds(sides, rng):
        gone = {tuple(row) for row in test.negative}
        assert not gone & {tuple(row) for row in train.negative}
        assert len(train.positive) + len(test.positive) == 30


def test_lda_by_items_is_lda_by_coordinates():
    sides, _ = planted(20, d=100)
    x = np.concatenate([p - p.mean(0) for p in (sides.positive, sides.negative)])
    within = x.T @ x / 40
    shrunk = 0.9 * within + 0.1 * np.trace(within) / 100 * np.eye(100)
    np.testing.assert_allclose(lda(sides), np.linalg.solve(shrunk, difference(sides)), rtol=1e-8)


def test_the_area_under_the_curve_is_that_of_scikit_learn_with_ties():
    rng = np.random.default_rng(3)
    up, down = rng.integers(0, 6, 50).astype(float), rng.integers(0, 5, 30).astype(float)
    wanted = roc_auc_score([1] * 50 + [0] * 30, np.concatenate([up, down]))
    assert auc(up, down) == pytest.approx(wanted)


def test_logistic_directions_are_brought_back_from_standardised_values():
    sides, _ = planted(100)
    scale = np.linspace(0.1, 10, D)
    wide = Sides(sides.positive * scale, sides.negative * scale, paired=False)
    np.testing.assert_allclose(logistic(wide) * scale, logistic(sides), rtol=1e-3, atol=1e-5)
