"""Crystals: relations hidden by a distractor come back by discriminants, and random ones do not."""

import numpy as np
import pytest

from core import api
from core.analyses import lda
from core.analyses.clouds import silhouette
from core.analyses.crystals import crystals, separated
from core.analyses.head_nulls import untrained
from core.analyses.runs import Silent
from core.figures import crystals as drawing
from core.figures.theme import Look
from core.results.crystals import Crystals
from core.spec.errors import Error

N, D, K = 30, 80, 5


@pytest.fixture(scope="module")
def model():
    return api.load("embedded")


@pytest.fixture(scope="module")
def found(model) -> Crystals:
    return crystals(model, Silent(), concepts="embedded: relations")


def planted(gap: float, loud: float = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Offsets of five relations around their means, under one loud distractor in ten dimensions."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(K), N)
    means = gap * rng.normal(size=(K, D))
    other = rng.normal(size=(K * N, 10)) @ rng.normal(size=(10, D)) * loud
    return means[label] + rng.normal(size=(K * N, D)) + other, label


def test_discriminants_find_planted_relations_under_a_distractor_on_the_other_half():
    apart, label = planted(1.5)
    found = separated(apart, label, 3, 0, Silent())
    assert found["raw"] < 0.05
    assert (found["held_out"] > 0.35).all()
    assert (found["control"] < 0.0).all()
    assert (found["train"] >= found["held_out"] - 0.05).all()


def test_relations_that_are_not_there_are_found_in_sample_only():
    apart, label = planted(0.0, loud=0)
    found = separated(apart, label, 3, 0, Silent())
    assert (found["train"] > 0.1).all()
    assert (found["held_out"] < 0.0).all()
    assert np.allclose(found["held_out"], found["control"], atol=0.08)


def test_discriminants_are_those_of_scikit_learn_where_there_are_many_items():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(3), 4_000)
    cloud = rng.normal(size=(12_000, 6)) @ rng.normal(size=(6, 6)) + rng.normal(size=(3, 6))[label]
    own = lda.discriminants(cloud, label, 2).of(cloud)
    other = LinearDiscriminantAnalysis(solver="eigen").fit_transform(cloud, label)
    for k in range(2):
        assert abs(np.corrcoef(own[:, k], other[:, k])[0, 1]) > 0.999


def test_silhouettes_do_not_depend_on_scale_or_order():
    apart, label = planted(1.0)
    train = lda.halves(label, np.random.default_rng(0))
    order = np.random.default_rng(1).permutation(len(label))
    own = lda.judged(apart, label, train, 4)[1]
    scale = np.exp(np.random.default_rng(2).normal(size=D))
    assert np.allclose(lda.judged(apart * scale + 7, label, train, 4)[1], own, atol=1e-6)
    assert np.allclose(lda.judged(apart[order], label[order], train[order], 4)[1], own, atol=1e-6)


def test_halves_hold_half_of_every_relation():
    label = np.repeat(np.arange(4), (6, 7, 8, 20))
    half = lda.halves(label, np.random.default_rng(0))
    assert np.bincount(label[half]).tolist() == [3, 3, 4, 10]


def test_the_embedded_model_has_crystals_and_fresh_weights_have_none(model, found):
    fresh = crystals(untrained(model, 0)[0], Silent(), concepts="embedded: relations")
    assert (found.held_out.max(axis=1) > 0.3).all()
    assert (found.held_out > found.control_high).all()
    assert (fresh.held_out < 0).all()
    assert (fresh.train_control > fresh.held_out).all()
    assert found.raw.max() < 0.2


def test_the_picture_is_of_the_discriminants_of_one_half(found):
    held = found.discriminant[3][found.held]
    assert silhouette(held, found.label[found.held]) > 0.2
    assert found.held.sum() > len(found.held) / 2 - len(found.relations)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"concepts": "embedded: days"}, "need pairs"),
        ({"concepts": "embedded: relations", "only": ("gender", "past")}, "three are needed"),
        ({"concepts": "embedded: relations", "project_out": ("x",)}, "project_out= takes"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(model, options, said):
    with pytest.raises(Error, match=said):
        crystals(model, Silent(), **options)


@pytest.mark.parametrize("view", drawing.VIEWS)
@pytest.mark.parametrize("dark", [False, True])
def test_every_view_is_drawn_with_titled_axes(found, view, dark):
    fig = drawing.figure(found, Look(dark=dark), view=view, layer=2)
    assert fig.layout.title.text
    assert fig.layout.xaxis.title.text
    assert fig.layout.yaxis.title.text


def test_the_words_say_the_control_in_sample_too(found):
    said = drawing.title(found) + drawing.caption(found)
    assert "held-out silhouette" in said
    assert "dealt out anew" in said
    assert "in sample" in said
    assert "219 pairs" in said
    assert len(found.to_frame()) == found.held_out.size
