"""Linear erasure against its guarantee, the published formula, and planted figures."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from core.analyses.leace import (
    Eraser,
    Moments,
    fit,
    inlp,
    mean_difference,
    moved_share,
    random,
    within_trace,
)

D = 48


def planted(k: int, n: int = 4_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Anisotropic Gaussian classes whose means lie far apart in directions of small variance."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(D, D)))[0]
    spread = np.geomspace(8, 0.4, D)
    means = rng.normal(size=(k, D)) * spread * 1.2
    labels = rng.integers(0, k, n)
    x = (rng.normal(size=(n, D)) * spread + means[labels]) @ axes.T + 5
    return x, labels


def one_hot(labels: np.ndarray, k: int) -> np.ndarray:
    return np.eye(k)[labels]


def fitted(x: np.ndarray, labels: np.ndarray, **options) -> Eraser:  # type: ignore[no-untyped-def]
    k = labels.max() + 1
    return Moments(x.shape[1], k).update(x, one_hot(labels, k)).eraser(**options)


def accuracy(x: np.ndarray, labels: np.ndarray, eraser: Eraser | None, n: int = 3_000) -> float:
    seen = x if eraser is None else eraser(x)
    seen = (seen - seen[:n].mean(0)) / (seen[:n].std(0) + 1e-9)
    model = LogisticRegression(max_iter=100).fit(seen[:n], labels[:n])
    return float(model.score(seen[n:], labels[n:]))


def coefficient(x: np.ndarray, labels: np.ndarray) -> float:
    """Largest weight of an unregularised binary logistic regression, solved to the end."""
    mean, scale = x.mean(0), x.std(0)
    z, t = (x - mean) / scale, labels.astype(float)

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        score = z @ w[1:] + w[0]
        rest = 1 / (1 + np.exp(-score)) - t
        value = (np.logaddexp(0, score) - t * score).mean()
        return value, np.concatenate([[rest.mean()], z.T @ rest / len(z)])

    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, options={"gtol": 1e-10})
    return float(np.abs(found.x[1:]).max())


def test_a_binary_concept_cannot_be_read_linearly_any_more_and_little_was_moved():
    x, labels = planted(2)
    assert accuracy(x, labels, None) > 0.99
    erasers = {
        "leace": fitted(x[:3000], labels[:3000]),
        "difference": mean_difference(x[:3000], labels[:3000]),
        "random": random(x[:3000], 1, np.random.default_rng(0)),
    }
    assert accuracy(x, labels, erasers["leace"]) == pytest.approx(0.5, abs=0.05)
    assert accuracy(x, labels, erasers["difference"]) == pytest.approx(0.5, abs=0.05)
    assert accuracy(x, labels, erasers["random"]) > 0.95
    moved = {name: moved_share(x[:3000], eraser) for name, eraser in erasers.items()}
    assert 0 < moved["leace"] < moved["difference"]
    zero = Eraser(erasers["difference"].left, erasers["difference"].right, np.zeros(D))
    assert moved["difference"] < moved_share(x[:3000], zero)


def test_one_direction_does_not_take_four_classes_out_and_rank_three_does():
    x, labels = planted(4)
    eraser = fitted(x[:3000], labels[:3000])
    assert eraser.rank == 3
    assert accuracy(x, labels, None) > 0.99
    assert accuracy(x, labels, eraser) == pytest.approx(0.25, abs=0.05)
    one = mean_difference(x[:3000], (labels[:3000] == 0).astype(int))
    assert accuracy(x, labels, one) > 0.6


@pytest.mark.parametrize("options", [{}, {"method": "orth"}, {"keep_trace": False}])
def test_a_refitted_logistic_regression_has_no_weights(options):
    x, labels = planted(2, n=3_000)
    assert coefficient(x, labels) > 1
    assert coefficient(fitted(x, labels, **options)(x), labels) < 1e-4


@pytest.mark.parametrize("k", [2, 3])
def test_class_means_are_equal_and_erasing_twice_is_erasing_once(k):
    x, labels = planted(k, n=2_000)
    eraser = fitted(x, labels)
    assert eraser.rank == k - 1
    done = eraser(x)
    means = [done[labels == one].mean(0) for one in range(k)]
    np.testing.assert_allclose(means, np.tile(x.mean(0), (k, 1)), atol=1e-8)
    np.testing.assert_allclose(eraser(done), done, atol=1e-8)


def test_fewer_items_than_numbers_are_erased_too():
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 2
    x = rng.normal(size=(30, 100)) + labels[:, None] * rng.normal(size=100)
    for shrinkage in (0.0, 0.1):
        eraser = fitted(x, labels, shrinkage=shrinkage)
        assert np.isfinite(eraser.left).all()
        done = eraser(x)
        gap = done[labels == 0].mean(0) - done[labels == 1].mean(0)
        np.testing.assert_allclose(gap, 0, atol=1e-6)


def test_it_is_the_published_formula():
    # x - W+ (W Sxz) (W Sxz)+ W (x - mean), W the pseudoinverse square root of the covariance:
    # theorem 4.3 of the paper, written another way.
    from scipy.linalg import pinv, sqrtm

    x, labels = planted(3, n=2_000)
    z = one_hot(labels, 3)
    xx, xz = np.cov(x.T), ((x - x.mean(0)).T @ (z - z.mean(0))) / (len(x) - 1)
    half = np.real(sqrtm(xx))
    whiten = pinv(half)
    white = whiten @ xz
    p = pinv(whiten) @ white @ pinv(white, rtol=1e-6) @ whiten
    wanted = x - (x - x.mean(0)) @ p.T
    np.testing.assert_allclose(fitted(x, labels, keep_trace=False)(x), wanted, atol=1e-6)


def test_no_other_projection_that_guards_moves_less():
    x, labels = planted(2, n=3_000)
    best = moved_share(x, fitted(x, labels, keep_trace=False))
    rng = np.random.default_rng(1)
    gap = x[labels == 0].mean(0) - x[labels == 1].mean(0)
    for _ in range(20):
        right = rng.normal(size=D)
        other = Eraser(gap[None], (right / (right @ gap))[None], x.mean(0))
        assert best <= moved_share(x, other) + 1e-12


def test_the_trace_option_keeps_the_variance_from_growing_and_still_guards():
    # With the items' own covariance it never grows; fitted on another one it can.
    xx, xz = np.array([[1.0, 0.0], [0.0, 100.0]]), np.array([[1.0], [0.02]])
    foreign = np.array([[100.0, 99.0], [99.0, 100.0]])
    free = fit(foreign, xz, np.zeros(2))
    kept = within_trace(xx, free.left, free.right)

    def trace(right: np.ndarray) -> float:
        p = np.eye(2) - free.left.T @ right
        return float(np.trace(p @ xx @ p.T))

    assert trace(fit(xx, xz, np.zeros(2)).right) < 101
    assert trace(free.right) > 150
    assert trace(kept) == pytest.approx(101)
    for right in (free.right, kept):
        np.testing.assert_allclose(xz - free.left.T @ right @ xz, 0, atol=1e-12)


def test_moments_of_batches_and_of_parts_are_those_of_the_whole():
    x, labels = planted(3, n=1_000)
    x = x + 1e6  # a large mean costs no digits
    z = one_hot(labels, 3)
    whole = Moments(D, 3).update(x, z)
    batches, one, other = Moments(D, 3), Moments(D, 3), Moments(D, 3)
    for start in range(0, 1_000, 90):
        part = slice(start, start + 90)
        batches = batches.update(x[part], z[part])
        if start < 500:
            one = one.update(x[part], z[part])
        else:
            other = other.update(x[part], z[part])
    wanted = np.cov(x.T)
    for found in (whole, batches, one + other):
        assert found.n == 1_000
        np.testing.assert_allclose(found.covariance(), wanted, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(found.cross_covariance(), whole.cross_covariance(), atol=1e-8)


def test_iterated_nullspaces_take_the_concept_out_with_more_directions():
    x, labels = planted(2, n=3_000)

    def probe(part: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        return LogisticRegression(max_iter=500).fit(part, wanted).coef_

    eraser = inlp(x, labels, probe, rounds=8)
    assert eraser.rank == 8
    assert accuracy(x, labels, eraser, n=2_000) < 0.75
    assert moved_share(x, eraser) > moved_share(x, fitted(x, labels))


def test_a_method_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="no method 'x'"):
        fit(np.eye(2), np.ones((2, 1)), np.zeros(2), "x")
