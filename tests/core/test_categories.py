"""Vectors of categories: planted trees, the embedded model, weights that know nothing."""

from dataclasses import dataclass

import numpy as np
import pytest

from core import api
from core.analyses import category_panels as panels
from core.analyses.categories import categories
from core.analyses.category_vectors import (
    Tree,
    axes,
    ledoit_wolf,
    scores,
    simplex,
    tree,
    vector,
)
from core.analyses.head_nulls import untrained
from core.analyses.runs import Silent
from core.figures import categories as drawing
from core.figures.theme import Look
from core.results.categories import WARNING, Categories
from core.spec.concept_set import ConceptSet, Group
from core.spec.errors import Error

D, LEAF, MIDDLES, LEAVES = 256, 20, 3, 3
KINDS = "embedded: kinds of things"


@dataclass
class Planted:
    """Rows of a tree of one root, three below it and three leaves below each."""

    cloud: np.ndarray
    tree: Tree
    own: panels.Members


def planted(strength: float, seed: int = 0) -> Planted:
    """Noise of spread 1, and for every category above a word its own vector of that length."""
    rng = np.random.default_rng(seed)
    groups = [Group("root")]
    groups += [Group(f"m{m}", parent="root") for m in range(MIDDLES)]
    groups += [
        Group(f"m{m}l{n}", tuple(f"w{m}{n}{i}" for i in range(LEAF)), parent=f"m{m}")
        for m in range(MIDDLES)
        for n in range(LEAVES)
    ]
    given = ConceptSet("planted", "categories", tuple(groups))
    known = tree(given, given.items, 5)
    own_axes = np.linalg.qr(rng.normal(size=(D, len(known.names))))[0].T * strength
    cloud = rng.normal(size=(len(given.items), D))
    place = {word: number for number, word in enumerate(given.items)}
    for number, words in enumerate(known.words):
        cloud[[place[word] for word in words]] += own_axes[number]
    return Planted(cloud, known, panels.members(known, given.items, np.arange(len(cloud)), 0))


def angles(one: Planted, exclusive: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ells = panels.vectors(one.cloud, one.own, "lda")
    up, upper = panels.parents_of(one.cloud, one.own, one.tree, ells, "lda", 5, exclusive)
    return (*panels.angles(ells, up, upper), ells)


@pytest.mark.parametrize(("n", "d"), [(12, 40), (60, 40), (5, 200)])
def test_the_small_system_solves_the_large_one(n, d):
    rng = np.random.default_rng(0)
    rows = rng.normal(0.4, 1, (n, d)) * np.linspace(2, 0.2, d)
    centred, mean = rows - rows.mean(axis=0), rows.mean(axis=0)
    rho, mu = ledoit_wolf(centred)
    sigma = (1 - rho) * centred.T @ centred / n + rho * mu * np.eye(d)
    direct = np.linalg.solve(sigma, mean)
    direct /= np.linalg.norm(direct)
    assert np.abs(vector(rows) - (mean @ direct) * direct).max() < 1e-8
    covariance = pytest.importorskip("sklearn.covariance")
    found, shrinkage = covariance.ledoit_wolf(rows)
    assert rho == pytest.approx(shrinkage)
    assert np.allclose(sigma, found)


def test_held_out_words_score_where_there_is_a_category_and_nowhere_else():
    with_signal, without = planted(8.0), planted(0.0)
    own = panels.held_out(with_signal.cloud, with_signal.own, "lda", 0, 10)
    none = panels.held_out(without.cloud, without.own, "lda", 0, 10)
    assert own.test.min() > 0.8
    assert np.abs(none.test).mean() < 0.1
    assert np.allclose(own.train, 1, atol=0.1)
    assert none.train.min() > 0.7  # many dimensions: what is learned always fits


def test_right_angles_appear_without_signal_and_a_wrong_parent_is_oblique():
    with_signal, without = planted(8.0), planted(0.0)
    c1, c2, ells = angles(with_signal)
    none, _, random = angles(without)
    leaf = with_signal.tree.depth == 2
    assert abs(np.nanmean(c1[leaf])) < 0.05
    assert abs(np.nanmean(c2[leaf])) < 0.05
    assert abs(np.nanmean(none[leaf])) < 0.2  # no signal at all, and yet nearly upright
    nested = random[leaf] / np.linalg.norm(random[leaf], axis=1, keepdims=True)
    above = random[without.tree.parent[leaf]]
    above = above / np.linalg.norm(above, axis=1, keepdims=True)
    assert (nested * above).sum(axis=1).mean() > 0.2  # because the words are shared
    rng = np.random.default_rng(0)
    wrong, _ = panels.random_parents(ells, with_signal.tree, ells * np.nan, rng)
    assert np.nanmean(wrong[leaf]) < -0.4


def test_a_parent_without_the_child_shares_no_words_with_it():
    leaf = planted(0.0).tree.depth == 2
    c1, _, _ = angles(planted(0.0), exclusive=True)
    assert np.nanmean(c1[leaf]) < -0.4  # unrelated vectors, no longer held upright by shared words
    one = planted(8.0)
    assert np.isnan(angles(one, exclusive=True)[0][0])
    rest = panels._without(one.own, 1, int(np.flatnonzero(one.tree.parent == 1)[0]))
    assert len(rest) == 2 * LEAF


def test_siblings_form_a_simplex_and_a_step_between_parents_leaves_children_alone():
    one = planted(8.0)
    ells = panels.vectors(one.cloud, one.own, "lda")
    regularity, normal = panels.families(ells, one.tree)
    assert regularity.max() < 0.1
    assert np.abs(normal).max() < 0.1
    leaf = int(np.flatnonzero(one.tree.depth == 2)[0])
    seen = panels.focus(one.tree, leaf)
    found = panels.effects(one.cloud, one.own, one.tree, seen, "lda", 0, 5, lambda: None)
    across = [effect[3] for effect in found if effect[0] == "across"]
    within = [effect[3] for effect in found if effect[0] == "within"]
    # Two vectors of length 8 at right angles are 11.3 apart.
    assert across[0] == pytest.approx(11.3, rel=0.15)
    assert np.abs(within).max() < 1.0


def test_a_regular_simplex_has_no_spread_and_axes_are_upright():
    assert simplex(np.eye(5)) == pytest.approx(0)
    assert simplex(np.array([[0, 0], [1, 0], [3, 0]])) > 0.3
    rng = np.random.default_rng(0)
    found = axes(rng.normal(size=(3, 7)))
    assert np.allclose(found @ found.T, np.eye(3))
    assert not axes(np.ones((2, 4)))[1].any()


@pytest.mark.parametrize("how", ["lda", "mean"])
def test_nothing_depends_on_the_axes_or_on_the_order_of_words(how):
    one = planted(4.0)
    turned = np.linalg.qr(np.random.default_rng(5).normal(size=(D, D)))[0]
    ells = panels.vectors(one.cloud, one.own, how)
    assert np.allclose(panels.vectors(one.cloud @ turned, one.own, how), ells @ turned)
    held = panels.held_out(one.cloud, one.own, how, 0, 3)
    assert np.allclose(held.test, panels.held_out(one.cloud @ turned, one.own, how, 0, 3).test)
    order = np.random.default_rng(1).permutation(len(one.cloud))
    place = np.argsort(order)
    mixed = panels.Members(tuple(place[rows] for rows in one.own.rows), one.own.word)
    assert np.allclose(panels.vectors(one.cloud[order], mixed, how), ells)


def test_forms_of_a_word_are_on_one_side_of_a_split():
    own = panels.Members((np.arange(12),), np.repeat(np.arange(4), 3))
    learn, test = own.split(0, np.random.default_rng(0))
    assert not set(own.word[learn]) & set(own.word[test])
    assert len(learn) == 9


def test_a_tree_loses_small_categories_and_only_children():
    given = ConceptSet(
        "t",
        "categories",
        (
            Group("all"),
            Group("beast", parent="all"),
            Group("cats", ("a", "b", "c"), parent="beast"),
            Group("dogs", ("d", "e", "f"), parent="beast"),
            Group("few", ("g",), parent="all"),
            Group("stone", ("h", "i", "j"), parent="few"),
        ),
    )
    found = tree(given, given.items, 3)
    assert set(found.names) == {"all", "beast", "cats", "dogs", "few"}
    assert found.words[found.names.index("few")] == ("g", "h", "i", "j")
    steps = found.distances()
    number = {name: place for place, name in enumerate(found.names)}
    assert steps[number["cats"], number["dogs"]] == 2
    assert steps[number["cats"], number["few"]] == 3
    assert any("stone into few" in note for note in found.notes)
    fewer = tree(given, [word for word in given.items if word != "d"], 3)
    assert "dogs" not in fewer.names
    assert any("dogs (2)" in note for note in fewer.notes)
    apart = ConceptSet("u", "categories", (Group("x", ("a", "b")), Group("y", ("c", "d"))))
    assert tree(apart, apart.items, 2).distances()[0, 1] == 2


@pytest.fixture(scope="module")
def model():
    return api.load("embedded")


@pytest.fixture(scope="module")
def result(model) -> Categories:
    return categories(model, Silent(), concepts=KINDS, n_shuffles=10)


def test_the_embedded_model_has_its_planted_tree_and_fresh_weights_have_none(model, result):
    fresh, _ = untrained(model, 0)
    none = categories(fresh, Silent(), concepts=KINDS, n_shuffles=10)
    assert result.represented.mean() > 0.9
    assert result.test.mean() > 0.5
    assert none.represented.mean() < 0.3
    assert abs(none.test.mean()) < 0.1
    assert result.spearman > result.shuffled_spearman.max()
    assert none.spearman < none.shuffled_spearman.max()
    across = result.effect_kind.index("across")
    within = [number for number, kind in enumerate(result.effect_kind) if kind == "within"]
    assert result.effect[across] > 2
    assert np.abs(result.effect[within]).max() < result.effect[across] / 2
    assert np.nanmean(result.c1) > np.nanmean(result.random_c1) + 0.4


def test_states_of_a_layer_hold_the_tree_too(model):
    found = categories(
        model, Silent(), concepts=KINDS, side="states", layer=3, n_shuffles=5, n_splits=3
    )
    assert found.site == "L2.resid_post"
    assert found.test.mean() > 0.4
    assert len(found.layer_test) == len(found.layer_shuffled)
    assert found.layer_test[3] > found.layer_shuffled[3] + 0.3
    for look in (Look(), Look(dark=True)):
        drawing.figure(found, look, view="layers")
    assert "behind" in drawing.title(found)


def test_what_was_read_is_said(result):
    assert result.n_words == 113
    assert result.n_rows > result.n_words  # plurals and capitals
    assert not result.dropped
    assert result.random == pytest.approx(0, abs=0.05)
    again = Categories.build(result.arrays(), result.labels())
    assert again.names == result.names
    frame = result.to_frame()
    assert list(frame.category) == list(result.names)
    number = result.names.index("mammal")
    assert frame.parent[number] == "animal"


def test_every_view_is_drawn_in_both_looks_with_its_null(result):
    for look in (Look(), Look(dark=True)):
        for view in drawing.VIEWS[:-1]:
            kinds = {"plane": (0, 1, 2), "simplex": (0, 1)}.get(view, (0,))
            for kind in kinds:
                fig = drawing.figure(result, look, view=view, kind=kind)
                assert "nan" not in fig.layout.title.text.lower()
    plain = drawing.figure(result, Look(), view="held out")
    assert any("shuffled" in trace.name for trace in plain.data)
    cosine = np.array(drawing.figure(result, Look(), view="cosines").data[0].z, float)
    order = drawing.order(result)
    np.testing.assert_allclose(cosine, result.cosine[np.ix_(order, order)], atol=1e-6)
    assert WARNING in drawing.caption(result)
    assert "10 times" in drawing.caption(result)
    with pytest.raises(Error, match="have no layers"):
        drawing.figure(result, Look(), view="layers")
    with pytest.raises(Error, match="seen as"):
        drawing.figure(result, Look(), view="pie")
    with pytest.raises(Error, match="0, 1 or 2"):
        drawing.figure(result, Look(), view="plane", kind=7)


def test_a_name_in_a_figure_is_harmless(model):
    own = [
        {"name": "<b>$x$</b>", "kind": "categories",
         "groups": [{"name": "<i>", "items": ["dog", "cat", "cow", "pig"]},
                    {"name": "&amp;", "items": ["oak", "pine", "rose", "tulip"]}]},
    ]  # fmt: skip
    found = categories(model, Silent(), concepts=own[0], min_words=3, n_shuffles=5)
    text = drawing.figure(found, Look()).to_json()
    assert "<i>" not in text
    assert "<b>$" not in text


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"concepts": ["dog"]}, "at least two"),
        ({"concepts": ["dog", "cat", "cow", "pig", "hen"]}, "1 categories|at least two"),
        ({"concepts": "embedded: days"}, "set of cycle"),
        ({"concepts": KINDS, "side": "head"}, "side="),
        ({"concepts": KINDS, "how": "svm"}, "how="),
        ({"concepts": KINDS, "prepare": "raw"}, "prepare="),
        ({"concepts": KINDS, "min_words": 1}, "min_words="),
        ({"concepts": KINDS, "min_words": 50}, "at least two are needed"),
        ({"concepts": KINDS, "n_shuffles": 1}, "n_shuffles="),
        ({"concepts": KINDS, "focus": "unicorn"}, "no group"),
        ({"concepts": KINDS, "focus": "metal"}, "left out or merged"),
        ({"concepts": KINDS, "side": "states", "layer": 99}, "layer="),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(model, asked, said):
    with pytest.raises(Error, match=said):
        categories(model, Silent(), **asked)


def test_scores_are_one_at_the_end_of_the_vector():
    ell = np.array([0.0, 2.0])
    assert scores(np.array([[5.0, 2.0], [1.0, 0.0]]), ell).tolist() == [1.0, 0.0]
    assert np.isnan(scores(np.ones((1, 2)), np.zeros(2))).all()
