"""Solvers of probes against scikit-learn and against formulas written out."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from core.analyses import probe_closed, probe_scores
from core.analyses.depth_fits import Plan, fit, fit_layers
from core.analyses.probe_closed import PENALTIES, closed, eigenbasis, lda, means, ridge
from core.analyses.probe_logistic import bound, logistic
from core.spec.errors import Error


def made(n: int, d: int, classes: int, seed: int = 0, strong: float = 1.0) -> tuple[Tensor, Tensor]:
    """x [n, d] with channels of very different size, labels [n] by noisy linear scores."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=random) @ torch.randn(d, d, generator=random) / d**0.5
    scores = strong * x @ torch.randn(d, classes, generator=random)
    labels = (scores + torch.randn(n, classes, generator=random)).argmax(dim=1)
    return x * torch.logspace(-1, 2, d) + 30 * torch.arange(d), labels


def standardised(x: Tensor, train: np.ndarray) -> np.ndarray:
    values = x.numpy()[train].astype(float)
    spread = values.std(axis=0)
    return (x.numpy() - values.mean(axis=0)) / np.where(spread > 0, spread, 1)


def plan(labels: Tensor, n_folds: int = 3) -> Plan:
    fold = np.arange(len(labels)) % n_folds
    found = Plan(int(labels.max()) + 1, {"held": fold})
    found.sets["main"] = (labels.numpy()[:, None], "held")
    found.sets["all"] = (labels.numpy()[:, None], "")
    return found


def by_sklearn(x: Tensor, labels: Tensor, train: np.ndarray, c: float) -> LogisticRegression:
    model = LogisticRegression(C=c, tol=1e-10, max_iter=20_000)
    return model.fit(standardised(x, train)[train], labels.numpy()[train])


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("n", "d", "c"), [(150, 8, 1.0), (90, 40, 1.0), (60, 100, 0.01)])
def test_logistic_is_that_of_scikit_learn(
    classes: int, n: int, d: int, c: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.analyses.depth_fits.logistic", _tight)
    x, labels = made(n, d, classes)
    one = plan(labels)
    found = fit(x, one, "logistic", c)
    for number in range(3):
        train = one.splits["held"] != number
        model = by_sklearn(x, labels, train, c)
        wanted = model.decision_function(standardised(x, train))[~train]
        held = found.held["main"][~train, 0]
        held = held[:, 0] if classes == 2 else held - held.mean(axis=1, keepdims=True)
        limit = 2e-3 * np.abs(wanted).max()
        if classes > 2:
            wanted = wanted - wanted.mean(axis=1, keepdims=True)
        np.testing.assert_allclose(held, wanted, atol=limit)


def _tight(*given: object, **more: object) -> object:
    return logistic(*given, **{**more, "tolerance": 1e-10})  # type: ignore[arg-type]


def test_the_weights_of_all_items_read_states_as_they_are() -> None:
    x, labels = made(200, 6, 2)
    found = fit(x, plan(labels), "logistic", 1.0)
    model = by_sklearn(x, labels, np.ones(200, dtype=bool), 1.0)
    wanted = model.decision_function(standardised(x, np.ones(200, dtype=bool)))
    margin = (x.double().numpy() @ found.weight + found.bias)[:, 0]
    np.testing.assert_allclose(margin, wanted, atol=0.03 * np.abs(wanted).max())


@pytest.mark.parametrize("strong", [0.0, 0.3, 30.0])
def test_the_usual_tolerance_answers_as_scikit_learn_does(strong: float) -> None:
    """No more than 0.5 points apart; separable classes are the hard case."""
    x, labels = made(600, 60, 2, seed=3, strong=strong)
    one = plan(labels, 5)
    held = fit(x, one, "logistic", 1.0).held["main"][:, 0, 0] > 0
    wanted = np.zeros(600, dtype=bool)
    for number in range(5):
        train = one.splits["held"] != number
        model = by_sklearn(x, labels, train, 1.0)
        wanted[~train] = model.predict(standardised(x, train)[~train]) == 1
    right = labels.numpy() == 1
    assert abs((held == right).mean() - (wanted == right).mean()) <= 0.005


def test_columns_do_not_know_of_each_other() -> None:
    """A column that is hard to fit, one that is done at once, and one with a single class."""
    x, labels = made(120, 10, 2, strong=30.0)
    x = (x - x.mean(dim=0)) / x.std(dim=0, correction=0)
    train = torch.ones(120, 3, dtype=torch.bool)
    random = torch.Generator().manual_seed(1)
    columns = torch.stack([labels, torch.randint(0, 2, (120,), generator=random), labels * 0], 1)
    scale = torch.ones(10, 3)
    inverse = bound(x.T @ x, 1.0, 1.0)
    whole = logistic(x, inverse, columns, train, scale, 1.0, 2)
    assert bool(torch.isfinite(whole.margin).all())
    assert whole.steps < 100
    for column in range(2):
        some = slice(column, column + 1)
        own = logistic(x, inverse, columns[:, some], train[:, some], scale[:, some], 1.0, 2)
        apart = (own.margin[:, 0] - whole.margin[:, column]).abs().max()
        assert apart < 0.02 * own.margin.abs().max()
    assert bool((whole.margin[:, 2] < -3).all())


def test_layers_side_by_side_answer_as_one_by_one() -> None:
    before = torch.get_num_threads()
    x, labels = made(90, 12, 2)
    layers = torch.stack([x, x * x, x[torch.randperm(90)]])
    told: list[int] = []
    try:
        torch.set_num_threads(2)
        found = fit_layers(layers, plan(labels), "logistic", 1.0, done=told.append)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert told == [0, 1, 2]
    for layer, one in zip(layers, found, strict=True):
        alone = fit(layer, plan(labels), "logistic", 1.0)
        np.testing.assert_allclose(one.held["main"], alone.held["main"], rtol=1e-3, atol=1e-3)


def test_a_layer_that_is_not_finite_is_a_sentence_and_threads_come_back() -> None:
    before = torch.get_num_threads()
    x, labels = made(40, 4, 2)
    try:
        torch.set_num_threads(2)
        with pytest.raises(Error, match="not finite"):
            fit_layers([x, x / 0], plan(labels), "logistic", 1.0)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("probe", ["logistic", "ridge"])
def test_a_channel_that_is_huge_and_constant_changes_nothing(probe: str) -> None:
    x, labels = made(90, 5, 2)
    x = (x - x.mean(dim=0)) / x.std(dim=0)
    with_constant = torch.cat([x[:, :2], torch.full((90, 1), 50.0), x[:, 2:]], dim=1)
    plain, other = (fit(each, plan(labels), probe, 1.0) for each in (x, with_constant))
    size = np.abs(plain.held["main"]).max()
    np.testing.assert_allclose(other.held["main"], plain.held["main"], atol=1e-4 * size)
    assert np.abs(other.weight[2]).max() < 1e-6


# --- closed forms --------------------------------------------------------------------------


def brute_ridge(x: Tensor, y: Tensor, penalty: float) -> Tensor:
    eye = torch.eye(x.shape[1], dtype=torch.float64)
    return torch.linalg.solve(x.T @ x + penalty * eye, x.T @ (y - y.mean()))


@pytest.mark.parametrize(("n", "d"), [(40, 6), (15, 30)])
def test_ridge_takes_the_penalty_of_the_least_leave_one_out_error(n: int, d: int) -> None:
    x, labels = made(n, d, 2, seed=n)
    x = x.double()
    x = (x - x.mean(dim=0)) / x.std(dim=0, correction=0)
    y = (2 * labels - 1).double()
    errors = []
    for penalty in PENALTIES:
        residuals = []
        for out in range(n):
            kept = torch.arange(n) != out
            middle = x[kept].mean(dim=0)
            weight = brute_ridge(x[kept] - middle, y[kept], penalty)
            residuals.append(y[out] - y[kept].mean() - (x[out] - middle) @ weight)
        errors.append(float(torch.stack(residuals).square().mean()))
    best = PENALTIES[int(np.argmin(errors))]
    weight, bias = ridge(x, labels[:, None], 2)
    torch.testing.assert_close(weight[:, 0, 0], brute_ridge(x, y, best), rtol=1e-6, atol=1e-8)
    assert float(bias[0, 0]) == pytest.approx(float(y.mean()))


def test_leave_one_out_errors_are_those_of_leaving_one_out() -> None:
    """The residual over 1 minus the leverage, as `ridge` uses it, written out once."""
    x, labels = made(12, 4, 2)
    x = x.double() - x.double().mean(dim=0)
    y, penalty = (2 * labels - 1).double(), 10.0
    basis, values = eigenbasis(x)
    z = x @ basis
    leverage = (z * z) @ (1 / (values + penalty)) + 1 / 12
    residual = (y - y.mean() - x @ brute_ridge(x, y, penalty)) / (1 - leverage)
    for out in range(12):
        kept = torch.arange(12) != out
        middle = x[kept].mean(dim=0)
        weight = brute_ridge(x[kept] - middle, y[kept], penalty)
        left = y[out] - y[kept].mean() - (x[out] - middle) @ weight
        assert float(residual[out]) == pytest.approx(float(left), abs=1e-6)


def test_both_gram_matrices_give_one_basis() -> None:
    x = torch.randn(20, 20, dtype=torch.float64)
    for part in (x[:, :7], x[:7]):
        basis, values = eigenbasis(part)
        z = part @ basis
        torch.testing.assert_close(z.T @ z, torch.diag(values), atol=1e-9, rtol=1e-9)
        torch.testing.assert_close(z @ basis.T, part, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("classes", [2, 3])
def test_lda_is_the_covariance_within_classes_inverted(classes: int) -> None:
    x, labels = made(80, 5, classes)
    x = x.double() - x.double().mean(dim=0)
    total = x.T @ x / 80
    more = probe_closed.shrinkage(total, 80) * float(total.diagonal().mean())
    centres = torch.stack([x[labels == one].mean(dim=0) for one in range(classes)])
    apart = x - centres[labels]
    within = apart.T @ apart / 80 + more * torch.eye(5)
    wanted = torch.linalg.solve(within, centres.T)
    share = torch.bincount(labels) / 80
    level = share.log() - (wanted.T * centres).sum(dim=1) / 2
    weight, bias = lda(x, labels[:, None], classes)
    if classes == 2:
        wanted, level = wanted[:, 1:] - wanted[:, :1], level[1:] - level[:1]
    torch.testing.assert_close(weight[:, 0], wanted, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(bias[0], level.double(), rtol=1e-4, atol=1e-5)


def test_means_give_every_item_to_the_nearest() -> None:
    x, labels = made(60, 4, 3)
    x = x.double()
    weight, bias = means(x, labels[:, None], 3)
    centres = torch.stack([x[labels == one].mean(dim=0) for one in range(3)])
    wanted = torch.cdist(x, centres).argmin(dim=1)
    assert torch.equal((x @ weight[:, 0] + bias[0]).argmax(dim=1), wanted)


def test_many_columns_are_solved_as_one_is() -> None:
    x, labels = made(60, 7, 2)
    random = torch.Generator().manual_seed(0)
    columns = torch.stack([labels, torch.randint(0, 2, (60,), generator=random)], dim=1)
    fold, scale = torch.tensor([0, 1]), torch.ones(7, 2)
    train = torch.stack([torch.arange(60) < 40, torch.arange(60) >= 20], dim=1)
    for solve in (ridge, lda, means):
        both = closed(solve, x, columns, train, fold, scale, 2)
        for one in range(2):
            some = slice(one, one + 1)
            own = closed(solve, x, columns[:, some], train[:, some], fold[some], scale[:, some], 2)
            torch.testing.assert_close(both.weight[:, some], own.weight)
            torch.testing.assert_close(both.margin[:, some], own.margin, rtol=1e-5, atol=1e-3)


# --- scores --------------------------------------------------------------------------------


def test_auc_is_that_of_scikit_learn_with_ties_and_weights() -> None:
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 50)
    score = random.integers(0, 6, 50) + labels
    weights = random.integers(0, 4, (3, 50)).astype(float)
    found = probe_scores.auc_draws(score[:, None].astype(float), labels, np.zeros(50, int), weights)
    for row, one in zip(weights, found, strict=True):
        assert one == pytest.approx(roc_auc_score(labels, score, sample_weight=row))


def test_f1_and_calibration_are_those_by_hand() -> None:
    from sklearn.metrics import f1_score, log_loss

    random = np.random.default_rng(1)
    for classes in (2, 4):
        labels, guess = random.integers(0, classes, (2, 200))
        found = probe_scores.f1_draws(guess[None], labels, classes, np.ones((1, 200)))[0, 0]
        average = "binary" if classes == 2 else "macro"
        assert found == pytest.approx(f1_score(labels, guess, average=average))
    p = random.uniform(size=10_000)
    labels = (random.uniform(size=10_000) < p).astype(int)
    margin = np.log(p / (1 - p))[None, :, None]
    loss, error = probe_scores.log_loss(margin, labels)
    assert error[0] < 0.02  # scores that are right by construction
    assert loss[0] == pytest.approx(log_loss(labels, p))
    assert probe_scores.log_loss(3 * margin, labels)[1][0] > 0.1


def test_a_share_of_all_is_not_certain() -> None:
    low, high = probe_scores.wilson(np.array([1.0, 0.5]), 100)
    assert low[0] == pytest.approx(0.963, abs=1e-3)
    assert high[1] == pytest.approx(0.596, abs=1e-3)
