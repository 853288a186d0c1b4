"""Concept vectors at one layer: the numbers a reader of the definition gets, and chance."""

import numpy as np
import pytest

from core import api
from core.analyses.head_nulls import untrained
from core.figures.geometry import caption, figure, title
from core.figures.theme import Look
from core.spec.errors import Error

ANIMALS = ("dog", "cat", "horse", "cow", "pig", "wolf")
TOOLS = ("hammer", "saw", "drill", "axe", "shovel", "wrench")
BIRDS = ("robin", "crow", "owl", "duck", "hen", "eagle")


@pytest.fixture(scope="module")
def model():
    return api.load("embedded")


def said(words):
    return [f"He saw the {word}" for word in words]


def concepts():
    return [
        api.concept("animal", said(ANIMALS), said(TOOLS)),
        api.concept("bird", said(BIRDS)),
        api.concept("tool", said(TOOLS)),
    ]


def last_states(model, texts, site):
    return np.stack([api.trace(model, text, [site])[site][-1] for text in texts]).astype(float)


def test_cosines_and_projection_are_those_of_plain_states_at_the_last_token(model):
    given = concepts()
    found = api.run("geometry", model, concepts=given, layer=2)
    sides = [
        (last_states(model, one.positive, "L2.resid_post"),
         last_states(model, one.negative, "L2.resid_post") if one.negative else None)
        for one in given
    ]  # fmt: skip
    every = np.concatenate([side for pair in sides for side in pair if side is not None])
    middle = every.mean(axis=0)
    vectors = np.stack(
        [
            (up - middle).mean(axis=0) - ((down - middle).mean(axis=0) if down is not None else 0)
            for up, down in sides
        ]
    )
    length = np.linalg.norm(vectors, axis=1)
    assert np.allclose(found.cosine, vectors @ vectors.T / np.outer(length, length), atol=1e-5)
    axes = np.linalg.svd(every - middle, full_matrices=False)[2][:2]
    positive = np.concatenate([up for up, _ in sides]) - middle
    assert np.allclose(np.abs(found.projection), np.abs(positive @ axes.T), atol=1e-3)
    assert found.items == tuple(text for one in given for text in one.positive)
    assert found.concept_of.tolist() == [0] * 6 + [1] * 6 + [2] * 6


def test_planted_concepts_stand_apart_and_chance_does_not(model):
    found = api.run("geometry", model, concepts=concepts(), layer=3)
    assert found.cosine[0, 2] < -0.5  # animals against tools, and tools
    assert found.p[0, 2] <= 0.02
    assert abs(found.control_cosine[0, 2]) < 0.45
    assert np.allclose(np.diag(found.control_cosine), 1)
    assert found.split_half[0] > 0.5


def test_without_training_the_same_words_have_no_stable_vector(model):
    """Bare words differ by their embeddings alone: halves of a class do not agree beyond chance."""
    fresh = untrained(model, 0)[0]
    one, other = api.concept("a", said(ANIMALS)), api.concept("b", said(TOOLS))
    trained = api.run("geometry", model, concepts=[one, other], layer=3).split_half
    plain = api.run("geometry", fresh, concepts=[one, other], layer=3).split_half
    assert trained.min() > plain.max() + 0.2


def test_sets_stand_in_their_contexts_and_relations_are_pairs(model):
    found = api.run("geometry", model, concepts="embedded: relations", layer=3)
    assert found.contexts != ("{}",)
    assert found.n_positive == found.n_negative
    kinds = api.run("geometry", model, concepts="embedded: kinds of things", layer=3)
    place = {name: number for number, name in enumerate(kinds.concepts)}
    assert kinds.n_positive[place["animal"]] > kinds.n_positive[place["bird"]]
    assert kinds.cosine[place["animal"], place["bird"]] > 0
    assert kinds.cosine[place["animal"], place["tool"]] < 0


def test_the_layer_is_chosen_or_named_as_a_site(model):
    chosen = api.run("geometry", model, concepts=concepts())
    assert chosen.site.endswith("resid_post")
    by_site = api.run("geometry", model, concepts=concepts(), layer="L2.resid_post")
    assert np.allclose(
        by_site.cosine, api.run("geometry", model, concepts=concepts(), layer=2).cosine
    )
    assert api.run("geometry", model, concepts=concepts(), layer="embedding").site == "embedding"


def test_dims_and_order_change_no_cosine(model):
    given = concepts()
    plain = api.run("geometry", model, concepts=given, layer=2)
    deep = api.run("geometry", model, concepts=given, layer=2, dims=3)
    assert deep.projection.shape == (18, 3)
    turned = api.run("geometry", model, concepts=given[::-1], layer=2)
    assert np.allclose(turned.cosine[::-1, ::-1], plain.cosine)
    shuffled = [api.concept(one.name, one.positive[::-1], one.negative[::-1]) for one in given]
    assert np.allclose(api.run("geometry", model, concepts=shuffled, layer=2).cosine, plain.cosine)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"layer": 99}, "has blocks 0 to"),
        ({"layer": "L99.resid_post"}, "has blocks 0 to"),
        ({"dims": 4}, "dims= is 2 or 3"),
        ({"prepare": "shrink"}, "prepare= is one of"),
        ({"concepts": []}, "no concepts"),
        ({"concepts": [{"name": "a", "positive": ["x", "y"]}] * 2}, "two concepts are named"),
    ],
)
def test_what_cannot_be_asked_is_said(model, options, says):
    with pytest.raises(Error, match=says):
        api.run("geometry", model, **{"concepts": concepts(), **options})


@pytest.mark.parametrize("dark", [False, True])
def test_figures_say_the_control_and_hide_no_markup(model, dark):
    hostile = api.concept("<b>$x$", [*said(ANIMALS), "<script>"])
    found = api.run("geometry", model, concepts=[hostile, *concepts()], layer=2)
    look = Look(dark=dark)
    for view, options in (("cosine", {}), ("map", {})):
        drawing = figure(found, look, view=view, **options)
        assert "<script>" not in str(drawing.to_plotly_json())
    assert "chance" in title(found)
    assert "dealt out anew 100 times" in caption(found)
    deep = api.run("geometry", model, concepts=concepts(), layer=2, dims=3)
    assert figure(deep, look, view="map").data[0].type == "scatter3d"
    with pytest.raises(Error, match="view is one of"):
        figure(found, look, view="pie")


def test_the_answer_survives_saving(model, tmp_path):
    found = api.run("geometry", model, concepts=concepts(), layer=1)
    again = api.open_result(found.save(tmp_path))
    assert again.concepts == found.concepts
    assert np.array_equal(again.cosine, found.cosine)
    assert len(found.to_frame()) == 3
