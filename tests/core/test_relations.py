"""Relations as offsets: planted and mixed ones, analogies and their baselines, parallelograms."""

import numpy as np
import pytest

from core import api
from core.analyses import offsets
from core.analyses.head_nulls import untrained
from core.analyses.parallelogram import parallelogram
from core.analyses.relations import relations
from core.analyses.runs import Silent
from core.figures import parallelogram as drawn_pair
from core.figures import relations as drawing
from core.figures.theme import Look
from core.results.relations import RelationOffsets
from core.spec.errors import Error

N, D = 40, 64
PLANTED = "embedded: relations"


@pytest.fixture(scope="module")
def model():
    return api.load("embedded")


@pytest.fixture(scope="module")
def found(model) -> RelationOffsets:
    return relations(model, Silent(), concepts=PLANTED)


def sides(size: float, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Words and the same words moved by one offset of this size, in units of a word's length."""
    rng = np.random.default_rng(seed)
    x, step = rng.normal(size=(N, D)), rng.normal(size=D)
    return x, x + size * step + noise * rng.normal(size=(N, D))


def test_planted_offsets_are_consistent_and_mixed_ones_are_not():
    x, y = sides(1.0, 0.5)
    rng = np.random.default_rng(0)
    seen = offsets.parallel(x, y, rng)
    assert seen.concentration == pytest.approx(0.80, abs=0.05)
    assert seen.permuted.mean() == pytest.approx(0.37, abs=0.08)
    assert seen.low < seen.concentration < seen.high
    assert seen.consistency > 0.9
    assert seen.control.mean() == pytest.approx(0.5, abs=0.05)
    mixed = offsets.parallel(x, y[offsets.derangement(N, rng)], rng)
    assert mixed.consistency == pytest.approx(0.5, abs=0.05)


def test_cosines_from_inner_products_are_those_of_the_offsets():
    x, y = sides(1.0, 0.5)
    order = offsets.derangement(N, np.random.default_rng(2))
    apart = y[order] - x
    apart /= np.linalg.norm(apart, axis=1, keepdims=True)
    assert np.allclose(offsets.Grams(x, y).cosines(order), apart @ apart.T)
    assert (order != np.arange(N)).all()


def test_parallelism_does_not_depend_on_rotation_shift_or_order():
    x, y = sides(1.0, 0.5)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(D, D)))[0]
    order = np.random.default_rng(4).permutation(N)

    def measured(one: np.ndarray, other: np.ndarray) -> list[float]:
        seen = offsets.Grams(one, other).between().mean()
        return [seen, offsets.one_dimension(other - one), offsets.common(other - one)]

    own = measured(x, y)
    assert np.allclose(measured(x @ turn + 3, y @ turn + 3), own)
    assert np.allclose(measured(x[order], y[order]), own)


def questions(size: float, noise: float) -> tuple[np.ndarray, int]:
    x, y = sides(size, noise)
    words = np.concatenate([x, y])
    rest = np.random.default_rng(9).normal(size=(500, D))
    pairs = np.stack([np.arange(N), np.arange(N) + N], axis=1)
    return offsets.analogies(words, np.concatenate([words, rest]), pairs, np.random.default_rng(0))


def test_planted_analogies_are_solved_and_mixed_pairs_are_not():
    accuracy, n = questions(1.0, 0.3)
    assert n == N * (N - 1)
    assert (accuracy[:, 0] > 0.99).all()
    assert (accuracy[:, 1] > 0.9).all()
    assert (accuracy[:, 3] < 0.02).all()


def test_with_small_offsets_the_third_word_alone_is_as_good_as_the_analogy():
    accuracy, _ = questions(0.1, 0.3)
    assert accuracy[0, 2] > 0.99
    assert accuracy[0, 2] >= accuracy[0, 0] - 0.01
    assert accuracy[0, 1] < 0.2


def test_answers_are_those_of_the_formulas_word_by_word():
    rng = np.random.default_rng(3)
    words, pairs = rng.normal(size=(12, 8)), np.arange(12).reshape(6, 2)
    accuracy, n = offsets.analogies(words, words, pairs, np.random.default_rng(0))
    unit = words - words.mean(axis=0)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    right = np.zeros((2, 2))
    for i, (a, b) in enumerate(pairs):
        for j, (c, d) in enumerate(pairs):
            if i == j:
                continue
            plain = unit @ (unit[b] - unit[a] + unit[c])
            shifted = (unit @ unit.T + 1) / 2
            product = shifted[b] * shifted[c] / (shifted[a] + 0.001)
            for method, score in enumerate((plain, product)):
                right[method, 1] += score.argmax() == d
                score[[a, b, c]] = -np.inf
                right[method, 0] += score.argmax() == d
    assert n == 30
    assert np.allclose(accuracy[:, :2] * n, right)


def test_a_question_never_asks_for_one_of_its_own_words():
    pairs = np.array([[0, 5], [1, 5], [2, 6], [6, 3]])
    asked = offsets._questions(pairs)
    assert not asked[0, 1]
    assert not asked[2, 3]
    assert asked[0, 2]
    assert not asked.diagonal().any()


def test_what_is_taken_out_no_longer_goes_with_the_offsets():
    rng = np.random.default_rng(0)
    covariate, direction = rng.normal(size=(200, 2)), rng.normal(size=(2, D))
    cloud = rng.normal(size=(200, D)) + 5 * covariate @ direction
    pairs = np.arange(200).reshape(100, 2)
    left = offsets.without(cloud, pairs, covariate)

    def largest(words: np.ndarray) -> float:
        apart, changed = (each[pairs[:, 1]] - each[pairs[:, 0]] for each in (words, covariate))
        return float(np.abs(offsets.correlations(apart, changed)).max())

    assert largest(cloud) > 0.5
    assert largest(left) < 1e-8
    assert np.allclose(left.mean(axis=0), cloud.mean(axis=0))


def test_a_planted_parallelogram_closes_and_a_trapezoid_has_a_gap():
    a, c, step = np.zeros(4), np.array([1.0, 2, 0, 0]), np.array([0, 0, 3.0, 0])
    assert offsets.parallelogram(a, a + step, c, c + step) == pytest.approx((1, 0))
    assert offsets.parallelogram(a, a + step, c, c + 2 * step) == pytest.approx((1, 2 / 3))
    assert offsets.parallelogram(a, a + step, c, c - step)[0] == pytest.approx(-1)


def test_the_embedded_model_keeps_capitals_and_tenses_as_offsets_and_fresh_weights_nothing(
    model, found
):
    fresh = relations(untrained(model, 0)[0], Silent(), concepts=PLANTED)
    capital, past = (found.relations.index(name) for name in ("capital", "past"))
    assert (found.consistency[:-1, capital] > 0.8).all()
    assert found.parallel(found.best)[[capital, past]].all()
    assert found.accuracy[3, capital, 0, 0] > 0.9
    assert found.accuracy[3, capital, 0, 3] < 0.1
    assert np.abs(fresh.consistency - 0.5).max() < 0.05
    assert np.abs(fresh.concentration - fresh.permuted).max() < 0.05
    assert np.nanmax(fresh.accuracy) < 0.1
    assert not fresh.parallel(fresh.best).any()


def test_the_baseline_shows_that_tenses_are_near_their_own_stem(found):
    past, row = found.relations.index("past"), found.rows.index("layer 5")
    with_offset, alone = found.accuracy[row, past, 0, [0, 2]]
    assert alone > 0.5
    assert with_offset - alone < 0.3


def test_projecting_a_distractor_out_changes_what_components_go_with(model, found):
    less = relations(model, Silent(), concepts=PLANTED, project_out=("frequency",))
    column = found.distractors.index("frequency")
    assert np.nanmax(np.abs(found.correlation[3, :, column])) > 0.5
    assert np.nanmax(np.abs(less.correlation[3, :, column])) < 1e-6
    assert less.project_out == ("frequency",)


def test_pairs_typed_in_are_asked_and_unread_ones_are_named(model):
    pairs = [("man", "woman"), ("king", "queen"), ("boy", "girl"), ("dog", "\u4e00\u4e8c")]
    found = relations(model, Silent(), concepts=pairs)
    assert found.concentration.shape[1] == 1
    assert found.n_pairs[0, 0] == 4 - bool(found.dropped)
    assert found.to_frame().shape[0] == len(found.rows)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"concepts": "embedded: days"}, "need pairs"),
        ({"concepts": [("man", "woman"), ("king", "queen")]}, "has 3 pairs"),
        ({"concepts": PLANTED, "only": ("none",)}, "has no group"),
        ({"concepts": PLANTED, "project_out": ("colour",)}, "project_out= takes"),
        ({"concepts": PLANTED, "most_pairs": 1}, "most_pairs is"),
        ({"concepts": [("man", "man")]}, "have to differ"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(model, options, said):
    with pytest.raises(Error, match=said):
        relations(model, Silent(), **options)


@pytest.mark.parametrize("family", ["bert", "t5", "gpt2", "cohere"])
def test_relations_are_asked_of_every_kind_of_model(tiny, family):
    pairs = [("man", "woman"), ("king", "queen"), ("boy", "girl"), ("son", "daughter")]
    found = relations(api.load(tiny(family)), Silent(), concepts=pairs)
    assert np.isfinite(found.concentration[2])
    assert ("unembedding" in found.rows) == (family in ("gpt2", "cohere"))


@pytest.mark.parametrize("view", drawing.VIEWS)
@pytest.mark.parametrize("dark", [False, True])
def test_every_view_is_drawn_with_titled_axes(found, view, dark):
    fig = drawing.figure(found, Look(dark=dark), view=view, layer=2)
    assert fig.layout.title.text
    assert fig.layout.xaxis.title.text
    assert fig.layout.yaxis.title.text


def test_the_words_of_the_figure_say_chance_and_sample(found):
    said = drawing.title(found) + drawing.caption(found)
    assert "mixed pairs" in said
    assert "third word alone" in said
    assert "219 pairs" in said
    for show in drawing.SHOWN:
        assert drawing.figure(found, Look(), show=show)
    with pytest.raises(Error, match="can show"):
        drawing.figure(found, Look(), view="odd")


def test_france_is_to_paris_as_japan_to_tokyo_more_than_to_other_capitals(model):
    found = parallelogram(
        model, Silent(), concepts=PLANTED, relation="capital", pairs=("France", "Japan")
    )
    assert found.words == ("France", "Paris", "Japan", "Tokyo")
    assert (found.cosine[:5] > found.control_cosine[:5]).all()
    assert (found.gap[:5] < found.control_gap[:5]).all()
    for dark in (False, True):
        fig = drawn_pair.figure(found, Look(dark=dark), layer=3)
        assert fig.layout.yaxis2.title.text
    assert "33 second words" not in drawn_pair.caption(found)
    assert f"{found.n_wrong} second words" in drawn_pair.caption(found)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [(("France",), "two different"), (("France", "France"), "two different"),
     (("France", "Mars"), "begins with")],
)  # fmt: skip
def test_pairs_that_are_not_there_are_a_sentence(model, pairs, said):
    with pytest.raises(Error, match=said):
        parallelogram(model, Silent(), concepts=PLANTED, relation="capital", pairs=pairs)


def test_the_best_depth_is_one_where_every_relation_has_vectors(model):
    found = relations(
        model, Silent(), concepts="relations", only=("country to capital", "present to past")
    )
    known = np.isfinite(found.consistency).sum(axis=1)
    assert known[found.best] == known.max()
    assert drawing.figure(found, Look())
