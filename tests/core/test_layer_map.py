"""Maps of words at every layer: planted classes, frames that do not flip, and what chance shows."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core import api
from core.analyses import layer_frames, layer_map
from core.analyses.head_nulls import untrained
from core.analyses.item_states import ItemStates
from core.analyses.runs import Silent
from core.analyses.set_points import MOST_CLASSES, points, sample
from core.concept_sets import named
from core.figures.layer_map import caption, figure, title
from core.figures.theme import Look
from core.spec.concept_set import ConceptSet, Group
from core.spec.errors import Error

CLASSES, EACH, WIDTH = 3, 30, 40
STUB = SimpleNamespace(d_model=WIDTH, n_layers=5, prompt_stack="")


@pytest.fixture(scope="module")
def model():
    return api.load("embedded")


def three_classes():
    return ConceptSet(
        "planted",
        "categories",
        tuple(Group(f"class {c}", tuple(f"w{c}_{i}" for i in range(EACH))) for c in range(CLASSES)),
    )


def planted_states(apart_from=3, seed=0):
    """[layer, item, d]: three Gaussian classes that come apart at layer `apart_from`."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(CLASSES * EACH, WIDTH))
    means = 4 * np.linalg.qr(rng.normal(size=(WIDTH, CLASSES)))[0].T.repeat(EACH, axis=0)
    fresh = rng.normal(size=(6, CLASSES * EACH, WIDTH))
    return np.stack(
        [noise + 0.5 * fresh[layer] + (means if layer >= apart_from else 0) for layer in range(6)]
    )


def read_from(monkeypatch, states):
    def item_states(loaded, progress, words, *, contexts=(), read="last"):
        at = {word: place for place, word in enumerate(three_classes().items)}
        rows = [at[word] for word in words]
        apart = torch.from_numpy(states[:, None, rows]).float()
        return ItemStates(
            tuple(words), (), tuple(contexts), read, np.ones(len(words)),
            np.ones(len(states)), apart,
        )  # fmt: skip

    monkeypatch.setattr(layer_map, "item_states", item_states)


def ask(**options):
    return layer_map.layer_map(STUB, Silent(), concepts=three_classes(), **options)


@pytest.mark.parametrize("mode", ["layer", "classes", "neighbours", "basis"])
def test_classes_planted_from_a_layer_on_come_apart_there(monkeypatch, mode):
    read_from(monkeypatch, planted_states())
    found = ask(mode=mode, dims=2)
    seen = found.held_out if mode == "classes" else found.silhouette
    assert seen[:3].max() < 0.1
    assert seen[3:].min() > 0.5
    null = found.null_held_out if mode == "classes" else found.null_silhouette
    assert null.max() < 0.25


def test_axes_of_class_means_separate_noise_and_the_held_out_words_say_so(monkeypatch):
    rng = np.random.default_rng(1)
    wide = rng.normal(size=(6, CLASSES * EACH, 400))
    read_from(monkeypatch, wide)
    found = ask(mode="classes", dims=2, prepare="centre")
    assert found.silhouette.min() > 0.3
    assert np.abs(found.silhouette - found.null_silhouette.mean(axis=1)).max() < 0.1
    assert found.held_out.max() < 0.1


def test_frames_of_layers_that_are_rotations_do_not_flip(monkeypatch):
    rng = np.random.default_rng(2)
    first = planted_states(0)[0] * np.linspace(3, 0.2, WIDTH)
    turns = [np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0] for _ in range(6)]
    read_from(monkeypatch, np.stack([first @ turn for turn in turns]))
    for mode in ("layer", "classes", "neighbours"):
        found = ask(mode=mode, dims=2, prepare="centre", most=5_000)
        assert found.smooth[1:].min() > 0.95, mode


def test_rotating_every_state_moves_no_point_but_as_a_whole(monkeypatch):
    states = planted_states()
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(WIDTH, WIDTH)))[0]
    read_from(monkeypatch, states)
    plain = ask(prepare="centre")
    read_from(monkeypatch, states @ turn)
    turned = ask(prepare="centre")
    assert np.allclose(distances(plain.places), distances(turned.places), atol=1e-4)
    assert np.allclose(plain.explained, turned.explained, atol=1e-6)
    assert np.allclose(plain.held_out, turned.held_out, atol=1e-4)


def distances(places):
    return np.linalg.norm(places[:, :, None] - places[:, None], axis=-1)


@pytest.mark.parametrize("mode", ["classes", "neighbours"])
def test_the_order_of_the_words_changes_no_place(monkeypatch, mode):
    read_from(monkeypatch, planted_states())
    plain = ask(mode=mode)
    groups = tuple(Group(g.name, g.items[::-1]) for g in three_classes().groups)
    other = ConceptSet("planted", "categories", groups)
    found = layer_map.layer_map(STUB, Silent(), concepts=other, mode=mode)
    row = [found.words.index(word) for word in plain.words]
    assert np.allclose(found.places[:, row], plain.places)
    assert np.array_equal(found.group[row], plain.group)
    assert found.words == other.items


def test_explained_share_beats_shuffled_dimensions_only_with_structure(monkeypatch):
    read_from(monkeypatch, planted_states())
    found = ask(mode="layer", dims=2)
    beyond = found.explained.sum(axis=1) - found.null_explained.sum(axis=1)
    assert beyond[3:].min() > beyond[:3].max() + 0.05
    noise = np.random.default_rng(4).normal(size=(6, CLASSES * EACH, WIDTH))
    read_from(monkeypatch, noise)
    flat = ask(mode="layer", dims=2)
    assert np.abs(flat.explained.sum(axis=1) - flat.null_explained.sum(axis=1)).max() < 0.03


def test_shuffled_shares_are_those_of_a_full_decomposition():
    rng = np.random.default_rng(5)
    cloud = rng.normal(size=(200, 30)) * np.linspace(2, 0.5, 30)
    own = layer_frames.shuffled_shares(cloud, 3, np.random.default_rng(6))
    dealt = np.random.default_rng(6).permuted(cloud - cloud.mean(axis=0), axis=0)
    strength = np.linalg.svd(dealt, compute_uv=False) ** 2
    assert np.allclose(own, (strength / strength.sum())[:3], rtol=0.02)


def test_turning_undoes_any_rotation_and_mirror():
    rng = np.random.default_rng(7)
    places = rng.normal(size=(50, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0] @ np.diag([1, 1, -1])
    assert np.allclose(layer_frames.turned(places @ turn, places), places)


def test_the_neighbour_table_is_exact():
    cloud = np.random.default_rng(8).normal(size=(120, 20))
    found = layer_frames.neighbours(cloud, 5)
    apart = np.linalg.norm(cloud[:, None] - cloud, axis=-1)
    np.fill_diagonal(apart, np.inf)
    assert np.array_equal(np.sort(found.near.numpy()), np.sort(apart.argsort(axis=1)[:, :5]))
    assert np.allclose(np.sort(found.distance.numpy()), np.sort(apart)[:, :5], atol=1e-3)


def test_layers_without_variance_are_said_and_drawn_as_one_point(monkeypatch):
    states = planted_states()
    states[0] = 1.0
    read_from(monkeypatch, states)
    for mode in ("classes", "neighbours"):
        found = ask(mode=mode)
        assert np.isfinite(found.places).all()
        assert any("same state" in words for words in found.notes)
    read_from(monkeypatch, np.ones_like(states))
    with pytest.raises(Error, match="same state at every layer"):
        ask()


def test_more_words_than_fit_are_sampled_by_class_and_said(monkeypatch):
    read_from(monkeypatch, planted_states())
    found = ask(most=30)
    assert np.bincount(found.group).tolist() == [10, 10, 10]
    assert any("30 of 90 words are drawn" in words for words in found.notes)
    nouns = points(named("WordNet nouns"))
    assert len(nouns.names) <= MOST_CLASSES
    some = sample(nouns, 5_000, 0)
    assert len(some.words) == 5_000
    share = np.bincount(some.group) / np.bincount(nouns.group)
    assert share.min() > 0.45


def test_the_embedded_model_shows_its_planted_kinds_and_fresh_weights_do_not(model):
    kinds = named("embedded: kinds of things")
    groups = (kinds.group(name) for name in ("mammal", "garment", "fruit", "instrument"))
    own = tuple(Group(group.name, group.items) for group in groups)
    given = ConceptSet("kinds", "categories", own, kinds.contexts)
    trained = api.run("layer_map", model, concepts=given, dims=3)
    fresh = api.run("layer_map", untrained(model, 0)[0], concepts=given, dims=3)
    assert trained.held_out[1:].max() > 0.2
    assert trained.held_out[1:].max() > trained.null_held_out[1:].max() + 0.15
    assert fresh.held_out[1:].max() < trained.held_out[1:].max() - 0.2


def test_pairs_cycles_and_texts_are_drawn(model):
    pairs = api.run("layer_map", model, concepts="embedded: relations", dims=2)
    words = {pairs.words[a]: pairs.words[b] for a, b in pairs.pair.tolist()}
    assert words["Peru"] in ("Lima", "Spanish")
    days = api.run("layer_map", model, concepts="embedded: days")
    assert len(days.pair) == 7
    assert days.mode == "layer"
    assert np.isnan(days.silhouette).all()
    texts = api.run("layer_map", model, concepts="texts: truth of capitals", dims=2)
    assert texts.contexts == ("{}",)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mode": "tsne"}, "mode= is one of"),
        ({"dims": 5}, "dims= is 2 or 3"),
        ({"layer": 77}, "layer= is a depth from 0"),
        ({"most": 1}, "most= is a number"),
        ({"n_neighbours": True}, "n_neighbours= is a number"),
        ({"concepts": ["one"]}, "at least two"),
        ({"concepts": ["cat", "dog"], "mode": "classes"}, "needs two groups"),
        ({"concepts": ["cat", "dog"], "mode": "neighbours"}, "too few for a layout"),
        ({"concepts": ["cat", "dog", "cat"]}, "stands twice"),
    ],
)
def test_what_cannot_be_drawn_is_said(model, options, says):
    with pytest.raises(Error, match=says):
        api.run("layer_map", model, **{"concepts": ["cat", "dog", "cow"], **options})


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("dark", [False, True])
def test_the_figure_moves_every_trace_over_all_layers(model, dims, dark):
    found = api.run("layer_map", model, concepts="embedded: topics", dims=dims)
    drawing = figure(found, Look(dark=dark))
    assert [step.args[0][0] for step in drawing.layout.sliders[0].steps] == [
        str(depth) for depth in found.layers
    ]
    names = [frame.name for frame in drawing.frames]
    assert set(map(str, found.layers)) <= set(names)
    for frame in drawing.frames:
        for moved, drawn in zip(frame.data, drawing.data, strict=True):
            assert moved.type == drawn.type
            assert len(moved.x) == len(drawn.x)
    numbers = np.concatenate([t.customdata for t in drawing.data if t.customdata is not None])
    assert sorted(numbers[numbers >= 0].tolist()) == list(range(len(found.words)))
    assert "shuffled labels" in title(found)
    assert "held out" in caption(found)


def test_still_views_show_chance_and_escape_hostile_words(model):
    given = {"name": "<b>x$", "kind": "categories",
             "groups": [{"name": "<i>a", "items": ["<script>", "cat", "dog"]},
                        {"name": "b", "items": ["red", "blue", "green"]}]}  # fmt: skip
    found = api.run("layer_map", model, concepts=given, dims=2)
    for view in ("map", "depth", "null"):
        text = str(figure(found, Look(), view=view).to_plotly_json())
        assert "<script>" not in text
        assert "<i>a" not in text
    names = {trace.name for trace in figure(found, Look(), view="depth").data}
    assert {"shuffled labels", "shuffled dimensions", "random places"} <= names
    plain = api.run("layer_map", model, concepts="embedded: days", dims=2)
    with pytest.raises(Error, match="only a map by class means"):
        figure(plain, Look(), view="null")
    with pytest.raises(Error, match="this answer has"):
        figure(plain, Look(), layer=99)


def test_the_answer_survives_saving(model, tmp_path):
    found = api.run("layer_map", model, concepts="embedded: topics", dims=2)
    again = api.open_result(found.save(tmp_path))
    assert again.words == found.words
    assert np.array_equal(again.places, found.places)
    assert len(found.to_frame()) == len(found.layers) * len(found.words)


@pytest.mark.parametrize("family", ["bert", "t5", "gpt2", "bloom", "mixtral"])
def test_every_kind_of_model_is_drawn(tiny, family):
    model = api.load(tiny(family))
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    for mode in ("layer", "neighbours"):
        found = api.run("layer_map", model, concepts=words, mode=mode, dims=2)
        assert found.places.shape[1:] == (len(found.words), 2)
        assert np.isfinite(found.places).all()
    concepts = [api.concept("low", words[:4]), api.concept("high", words[4:])]
    assert api.run("geometry", model, concepts=concepts, layer=0).cosine.shape == (2, 2)
