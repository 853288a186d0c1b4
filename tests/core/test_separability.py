"""Classes apart: published values of the discrimination value, exact shares, planted layers."""

import numpy as np
import pytest

from core import api
from core.analyses import separation
from core.analyses.clouds import silhouette, unit
from core.analyses.runs import Silent
from core.analyses.separability import measured, separability
from core.figures import separability as drawing
from core.figures.theme import Look
from core.results.separability import WARNING, Separability
from core.spec.errors import Error

KINDS = "embedded: kinds of things"


def classes(apart: float, d: int, n: int = 60, k: int = 5, seed: int = 0) -> tuple:
    """k isotropic classes whose centres are drawn with that spread, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(k), n)
    return rng.normal(size=(k, d))[labels] * apart + rng.normal(size=(k * n, d)), labels


def gdv(cloud: np.ndarray, labels: np.ndarray) -> float:
    flat = separation.halved(cloud)
    return separation.gdv(separation.distances(flat), labels, flat.shape[1])


@pytest.mark.parametrize("d", [10, 768])
@pytest.mark.parametrize(
    ("apart", "value"), [(0, 0.0), (0.5, -0.07), (1, -0.19), (2, -0.37), (5, -0.59), (50, -0.77)]
)
def test_the_discrimination_value_of_known_clouds(apart, value, d):
    found = np.mean([gdv(*classes(apart, d, seed=seed)) for seed in range(8 if d == 10 else 2)])
    assert found == pytest.approx(value, abs=0.06 if d == 10 else 0.03)


def test_the_discrimination_value_is_its_definition():
    cloud, labels = classes(1.0, 6, n=7, k=3)
    flat = 0.5 * (cloud - cloud.mean(axis=0)) / cloud.std(axis=0)
    inside, across = [], []
    for one in range(3):
        mine = flat[labels == one]
        inside.append(
            np.mean([np.linalg.norm(a - b) for i, a in enumerate(mine) for b in mine[:i]])
        )
        for other in range(one):
            rest = flat[labels == other]
            across.append(np.mean([np.linalg.norm(a - b) for a in mine for b in rest]))
    expected = (np.mean(inside) - np.mean(across)) / np.sqrt(6)
    assert gdv(cloud, labels) == pytest.approx(expected, rel=1e-9)


def test_nothing_depends_on_order_names_scale_or_a_dead_dimension():
    cloud, labels = classes(1.0, 12)
    order = np.random.default_rng(3).permutation(len(labels))
    other = np.concatenate([cloud * np.linspace(0.1, 90, 12) + 4, np.ones((len(cloud), 1))], axis=1)
    assert gdv(other[order], 9 - labels[order]) == pytest.approx(gdv(cloud, labels))


def test_companions_equal_the_slow_way():
    cloud, labels = classes(0.6, 8, n=9)
    labels[3] = 77  # alone in its class
    rows = unit(cloud)
    inner = rows @ rows.T
    assert separation.silhouette(1 - inner, labels) == pytest.approx(
        silhouette(cloud, labels, True)
    )
    chosen = separation.nearest_centroid(inner, labels)
    names = np.unique(labels)
    for item in range(len(cloud)):
        means = []
        for name in names:
            mine = (labels == name) & (np.arange(len(cloud)) != item)
            means.append(rows[mine].mean(axis=0) if mine.any() else np.zeros(8))
        expected = -1 if item == 3 else int((unit(np.array(means)) @ rows[item]).argmax())
        assert chosen[item] == expected


def test_a_mean_that_holds_the_item_would_win_and_is_not_used():
    rng = np.random.default_rng(0)
    cloud, labels = rng.normal(size=(60, 300)), np.repeat(np.arange(20), 3)
    assert separation.centroid_accuracy(cloud, labels) < 0.2  # with itself it would be 1


def test_shares_are_planted_ones_and_random_labels_hold_none():
    rng = np.random.default_rng(0)
    n = 400
    labels = np.repeat(np.arange(8), n // 8)
    cloud = rng.normal(size=(8, 50))[labels] + 2 * rng.normal(size=(n, 50))
    cloud -= cloud.mean(axis=0)
    total = (cloud**2).sum()
    share = separation.adjusted(separation.between(cloud, labels) / total, n, 8)
    assert share == pytest.approx(1 / 5, abs=0.03)
    drawn = [
        separation.adjusted(separation.between(cloud, rng.permutation(labels)) / total, n, 8)
        for _ in range(50)
    ]
    assert abs(np.mean(drawn)) < 0.003
    eta = 0.31
    assert separation.adjusted(eta, 40, 7) == pytest.approx(1 - (1 - eta) * 39 / 33)
    assert np.isnan(separation.adjusted(eta, 7, 7))


def test_classes_that_come_apart_at_a_layer_do_so_in_every_measure():
    before, labels = classes(0.0, 32)
    after, _ = classes(2.0, 32)
    tables = np.stack([labels, np.random.default_rng(0).permutation(labels)])
    one, two = (measured(cloud, tables, "zscore") for cloud in (before, after))
    assert abs(one["gdv"][0]) < 0.02
    assert one["accuracy"][0] < 0.35
    assert two["gdv"][0] < -0.25
    assert two["accuracy"][0] > 0.95
    assert two["silhouette"][0] > 0.3
    assert abs(two["gdv"][1]) < 0.02
    assert two["accuracy"][1] < 0.35
    flat = measured(np.ones((300, 4)), tables, "zscore")
    assert np.isnan(flat["gdv"]).all()


@pytest.fixture(scope="module")
def model():
    return api.load("embedded")


@pytest.fixture(scope="module")
def result(model) -> Separability:
    own = {"voice": {"dog": "bark", "cat": "meow", "cow": "moo"}}
    return separability(
        model, Silent(), concepts=KINDS, attributes=own, untrained_too=True, n_shuffles=10
    )


def test_the_embedded_model_holds_its_kinds_apart_and_fresh_weights_do_not(result):
    row = result.best
    assert result.gdv[row] < result.gdv_chance[:, row].min() - 0.05
    assert result.accuracy.min() > 0.8
    assert result.accuracy_chance.mean() < 0.15
    assert abs(result.untrained_gdv).max() < 0.02
    assert result.untrained_accuracy.max() < 0.2
    group = result.attributes.index("group")
    letters = result.attributes.index("letters")
    assert result.share_adjusted[group].max() > 0.15
    assert result.share_adjusted[letters].max() < 0.03
    words = ~np.isnan(result.share_chance).all(axis=(0, 2))  # contexts have no other labels
    assert np.abs(result.share_chance[:, words].mean(axis=0)).max() < 0.02
    assert (result.share_adjusted[group] <= result.share[group]).all()


def test_what_is_known_of_words_is_listed(result):
    assert {"group", "parent", "top", "letters", "rank", "context", "voice"} <= set(
        result.attributes
    )
    assert result.n_values[result.attributes.index("voice")] == 4  # three voices and none
    assert len(result.sites) == len(result.gdv)
    again = Separability.build(result.arrays(), result.labels())
    assert again.classes == result.classes
    assert list(result.to_frame().layer) == list(range(len(result.gdv)))


def test_figures_in_both_looks_hold_the_numbers_and_the_null(result):
    for look in (Look(), Look(dark=True)):
        for view in drawing.VIEWS:
            drawing.figure(result, look, view=view)
    fig = drawing.figure(result, Look())
    own = [trace for trace in fig.data if trace.name == "classes"]
    np.testing.assert_allclose(np.array(own[0].y, float), result.gdv)
    assert any(trace.fill == "tonexty" for trace in fig.data)
    shares = drawing.figure(result, Look(), view="shares")
    group = next(trace for trace in shares.data if str(trace.name).startswith("group"))
    row = result.attributes.index("group")
    np.testing.assert_allclose(np.array(group.y, float), 100 * result.share_adjusted[row])
    assert WARNING in drawing.caption(result)
    assert "10 times" in drawing.caption(result)
    assert "by chance" in drawing.title(result)
    with pytest.raises(Error, match="seen as"):
        drawing.figure(result, Look(), view="pie")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"concepts": ["dog"]}, "at least two"),
        ({"concepts": ["dog", "cat"]}, "no two values"),
        ({"concepts": KINDS, "by": "shape"}, "no two values of 'shape'"),
        ({"concepts": KINDS, "prepare": "x"}, "prepare="),
        ({"concepts": KINDS, "n_shuffles": 0}, "n_shuffles="),
        ({"concepts": KINDS, "attributes": "size"}, "attributes= is a table"),
        ({"concepts": KINDS, "attributes": {"size": {"unicorn": "big"}}}, "none of the words"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(model, asked, said):
    with pytest.raises(Error, match=said):
        separability(model, Silent(), **asked)


def test_pairs_come_apart_by_their_halves(model):
    found = separability(model, Silent(), concepts="embedded: male and female", n_shuffles=5)
    assert found.accuracy.max() > 0.6
