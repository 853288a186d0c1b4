"""Discovery of irreducible features: planted circles of features, mixtures, and random clusters."""

import numpy as np
import pytest
import torch

from core import api
from core.analyses import feature_clusters as clusters
from core.analyses.irreducible import irreducible
from core.analyses.runs import Silent
from core.figures import irreducible as drawing
from core.figures.theme import Look
from core.results.irreducible import Irreducible
from core.spec.errors import Error

D, N = 40, 4_000


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Irreducible:
    model = api.load("embedded")
    return irreducible(
        model, Silent(), dictionary="topk-L2", n_contexts=24, corpus="built-in", threshold=0.4
    )


def cone(members: int = 12) -> np.ndarray:
    """Decoder rows around a cone, of length 1: a circle and a shared direction."""
    turn = 2 * np.pi * np.arange(members) / members
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(D, 3)))[0].T
    rows = np.stack([np.cos(turn), np.sin(turn), np.full(members, 8.0)], axis=1) @ basis
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def around_the_circle(members: int = 12) -> np.ndarray:
    """Tokens anywhere on the circle: the two features nearest fire, as near as they are."""
    rng = np.random.default_rng(1)
    place = rng.uniform(0, members, N)
    value = np.zeros((N, members))
    low = place.astype(int)
    strength = rng.uniform(1, 1.4, N)
    value[np.arange(N), low] = (1 - (place - low)) * strength
    value[np.arange(N), (low + 1) % members] = (place - low) * strength
    return value


def test_a_planted_circle_of_features_is_irreducible_on_components_two_and_three():
    one = clusters.judged(around_the_circle(), cone())
    two_three = clusters.PLANES.index((2, 3))
    assert np.nanargmax((1 - one.mixture) * one.separability) == two_three
    assert one.separability[two_three] > 0.7
    assert one.mixture[two_three] < 0.35
    assert one.separability[0] < 0.2  # with the first component, which is how strongly they fire


def test_two_features_that_exclude_each_other_are_a_mixture():
    rng = np.random.default_rng(0)
    rows = np.linalg.qr(rng.normal(size=(D, 2)))[0].T
    first = rng.random(N) < 0.5
    value = np.stack([first, ~first], axis=1) * np.abs(rng.normal(size=(N, 1))) * 3
    assert clusters.judged(value, rows).mixture[0] > 0.5


def test_independent_features_share_nothing():
    rng = np.random.default_rng(0)
    rows = np.linalg.qr(rng.normal(size=(D, 4)))[0].T
    value = rng.normal(size=(N, 4)) + 5
    one = clusters.judged(value, rows)
    assert np.nanmax(one.separability) < 0.03
    assert np.isnan(one.separability[3])  # four features have no fifth component
    assert one.score < 0.03


def test_the_judgement_does_not_depend_on_a_rotation_or_on_the_order_of_features():
    value, rows = around_the_circle(), cone()
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(D, D)))[0]
    order = np.random.default_rng(6).permutation(12)
    own = clusters.judged(value, rows).score
    assert clusters.judged(value, rows @ turn).score == pytest.approx(own, abs=0.02)
    assert clusters.judged(value[:, order], rows[order]).score == pytest.approx(own, abs=0.02)


def blocks(n: int = 5, size: int = 6) -> torch.Tensor:
    """Rows in tight groups that are far from each other, and single ones."""
    rng = np.random.default_rng(0)
    centre = np.linalg.qr(rng.normal(size=(D, n)))[0].T
    rows = np.repeat(centre, size, axis=0) + 0.08 * rng.normal(size=(n * size, D))
    rows = np.concatenate([rows, np.linalg.qr(rng.normal(size=(D, D)))[0][:, :8].T])
    return torch.tensor(rows / np.linalg.norm(rows, axis=1, keepdims=True)).float()


def test_planted_groups_of_rows_are_the_clusters_both_ways():
    rows = blocks()
    near = clusters.by_neighbours(rows, 0.5)
    # Two links a feature need not join a whole group, but never two groups.
    assert all(len({int(member) // 6 for member in part}) == 1 for part in near)
    assert sum(len(part) for part in near) == 30
    spectral = clusters.by_spectrum(rows[:30], 5, 0)
    assert sorted(map(tuple, spectral)) == [tuple(range(6 * k, 6 * k + 6)) for k in range(5)]


def test_no_cluster_is_made_of_rows_that_have_no_neighbour():
    assert clusters.by_neighbours(torch.eye(10), 0.5) == []


def test_clusters_of_the_embedded_dictionary_are_ranked_beside_random_ones(found):
    assert (np.diff(found.score) <= 0).all()
    assert found.n_random > 20
    assert ((found.p > 0) & (found.p <= 1)).all()
    assert found.n_judged == len(found.score) <= found.n_clusters
    assert (found.size >= 2).all()
    assert len(found.drawn[0]) == np.isfinite(found.points[0, :, 0]).sum()
    assert len(found.passages[0]) == len(found.drawn[0])
    assert found.to_frame().shape[0] == found.n_judged


def test_a_cluster_of_ones_own_is_judged_alone(found):
    own = irreducible(
        api.load("embedded"), Silent(), dictionary="topk-L2", n_contexts=24,
        features=found.features[0],
    )  # fmt: skip
    assert own.features == (found.features[0],)
    assert own.score[0] == pytest.approx(found.score[0])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"by": "colour"}, "by= is one of"),
        ({"threshold": 1.5}, "a cosine below 1"),
        ({"threshold": 0.999}, "lower threshold"),
        ({"features": (3,)}, "takes 2 to"),
        ({"features": (3, 1_000_000)}, "numbers from 0"),
        ({"by": "spectral", "n_clusters": 1}, "n_clusters= lies"),
        ({"dictionary": "none"}, "none"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(options, said):
    asked = {"dictionary": "topk-L2", "n_contexts": 8} | options
    with pytest.raises(Error, match=said):
        irreducible(api.load("embedded"), Silent(), **asked)


@pytest.mark.parametrize("view", drawing.VIEWS)
@pytest.mark.parametrize("dark", [False, True])
def test_every_view_is_drawn_with_titled_axes(found, view, dark):
    fig = drawing.figure(found, Look(dark=dark), view=view)
    assert fig.layout.title.text
    assert fig.layout.xaxis.title.text
    assert fig.layout.yaxis.title.text
    with pytest.raises(Error, match="can be shown"):
        drawing.figure(found, Look(), view="odd")


def test_the_words_say_chance_and_sample(found):
    said = drawing.title(found) + drawing.caption(found)
    assert "random" in said
    assert f"{found.n_random} random clusters" in said
    with pytest.raises(Error, match="plane="):
        drawing.figure(found, Look(), view="tokens", plane=(1, 9))
