"""Depth against planted truth, scikit-learn on real states, and its own controls."""

from collections.abc import Callable, Sequence
from importlib import import_module

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from core import api
from core.analyses.runs import Silent
from core.analyses.states import encoded, states
from core.figures.table import caption, figure, title
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.depth_summary import paper_points, summary
from tests.core.depth_case import ask, framed, halves, lines, noise

module = import_module("core.analyses.depth")
Plant = Callable[[Sequence[np.ndarray]], None]


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Puts given states [layer][text, d] in the place of the model's."""

    def put(layers: Sequence[np.ndarray]) -> None:
        found = torch.tensor(np.stack(layers), dtype=torch.float32)

        def instead(*_: object) -> Tensor:
            return found

        monkeypatch.setattr(module, "_states", instead)

    return put


# --- agreement with scikit-learn ------------------------------------------------------------


@pytest.mark.parametrize("grouped", [False, True])
def test_accuracies_are_those_of_scikit_learn_on_the_embedded_model(grouped: bool) -> None:
    """Within 0.5 points at every layer, on the same folds."""
    m = api.load("embedded")
    texts, labels, words = framed()
    found = ask(m, texts=texts, labels=labels, groups=words if grouped else None, seed=3)
    ids = encoded(m, texts)
    x = states(m, Silent(), ids, embedding=True).vectors[0].numpy()
    kind = StratifiedGroupKFold if grouped else StratifiedKFold
    folds = list(
        kind(5, shuffle=True, random_state=3).split(x[0], labels, words if grouped else None)
    )
    y = np.array(labels)
    assert found.accuracy.shape == (m.n_layers + 1,)
    for layer, states_ in enumerate(x):
        scores = []
        for train, test in folds:
            model = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-7, max_iter=9_000))
            scores.append(model.fit(states_[train], y[train]).score(states_[test], y[test]))
        assert found.accuracy[layer] == pytest.approx(np.mean(scores), abs=0.005)


def test_words_are_known_again_by_random_folds_and_not_by_groups(stories: Loaded) -> None:
    """The embedding holds the word and nothing of its kind: only random folds read it there.

    The curves were computed with scikit-learn when the method was specified.
    """
    texts, labels, words = framed()
    found = ask(stories, texts=texts, labels=labels, groups=words, C=0.01)
    wanted = [0.50, 0.57, 0.62, 0.75, 0.70, 0.73]
    np.testing.assert_allclose(found.accuracy, wanted, atol=0.03)
    wanted = [0.72, 0.73, 0.86, 0.88, 0.79, 0.79]
    np.testing.assert_allclose(found.random_accuracy, wanted, atol=0.055)
    assert any("random folds give" in note for note in found.notes)


# --- planted truth --------------------------------------------------------------------------


def test_a_signal_that_grows_with_the_layers_is_found_where_it_is(
    stories: Loaded, plant: Plant
) -> None:
    n, labels = 400, halves(400)
    direction = np.random.default_rng(1).normal(size=20)
    direction /= np.linalg.norm(direction)
    strength = [0, 0, 0, 2.0, 4.0, 6.0]
    signal = np.outer(2 * labels - 1, direction)
    plant([noise(n, seed=layer) + s * signal for layer, s in enumerate(strength)])
    found = ask(stories, texts=lines(n), labels=labels.tolist())
    assert found.onset() == 3
    assert 2 < found.points["half_rise"][0, 0] < 3
    assert found.accuracy[:3].max() < 0.6
    assert found.direction[5, 0] @ direction > 0.9
    low, high = found.points["half_rise"][0, 1:]
    assert low <= found.points["half_rise"][0, 0] <= high
    assert title(found).startswith("Readable from layer 3 of 5 (1.00 at layer 4; words alone 0.")
    assert "n = 400" in title(found)


def test_shuffled_labels_give_no_signal_and_no_depth(stories: Loaded, plant: Plant) -> None:
    n = 300
    readable = 0
    for seed in range(5):
        plant([noise(n, seed=100 * seed + layer) for layer in range(25)])
        labels = np.random.default_rng(seed).permutation(n) % 2
        found = ask(stories, texts=lines(n), labels=labels.tolist(), seed=seed)
        assert np.abs(found.control_accuracy - 0.5).max() < 0.04
        assert np.abs(found.control_auc - 0.5).max() < 0.04
        assert found.accuracy.max() > found.control_accuracy.max()  # the best of 25 is above chance
        readable += found.onset() is not None
    assert readable == 0
    assert title(found).startswith("Not readable above")


def test_a_control_covers_the_best_layer_of_noise(stories: Loaded, plant: Plant) -> None:
    """95 % of best layers of shuffled labels lie below `control_most`; so does that of noise."""
    n = 200
    plant([noise(n, 10, seed=layer) for layer in range(12)])
    covered = [
        found.accuracy.max() <= found.control_most[0]
        for seed in range(6)
        for found in [ask(stories, texts=lines(n), labels=_random(n, seed), seed=seed)]
    ]
    assert sum(covered) >= 5


def _random(n: int, seed: int) -> list[int]:
    return (np.random.default_rng(seed + 50).permutation(n) % 2).tolist()


def test_leaking_words_are_caught_by_groups(stories: Loaded, plant: Plant) -> None:
    """Each word has a state of its own and a random label: nothing but the word can be known."""
    words = np.repeat(np.arange(60), 5)
    own = np.random.default_rng(3).normal(size=(60, 80))
    labels = halves(60)[words]
    plant([own[words] + 0.01 * noise(300, 80)] * 2)
    found = ask(stories, texts=lines(300), labels=labels.tolist(), groups=[f"w{w}" for w in words])
    assert found.random_accuracy.min() > 0.9
    assert np.abs(found.accuracy - 0.5).max() < 0.2
    assert found.onset() is None
    assert any("knowing a group again" in note for note in found.notes)


def test_selectivity_of_one_hot_words_is_nothing(stories: Loaded, plant: Plant) -> None:
    words = ["cat", "dog", "sun", "mat", "hat", "pig", "red", "big"] * 40
    kinds = {word: number for number, word in enumerate(dict.fromkeys(words))}
    states_ = np.eye(8)[[kinds[word] for word in words]]
    texts = [f"{line} {word}" for line, word in zip(lines(320), words, strict=True)]
    plant([states_, states_])
    found = ask(
        stories, texts=texts, labels=[kinds[w] % 2 for w in words], words=words, position="word"
    )
    assert found.types == "word"
    np.testing.assert_allclose(found.accuracy, 1)
    np.testing.assert_allclose(found.task_accuracy, 1)
    np.testing.assert_allclose(found.selectivity, 0)
    assert found.floor[2] == 1.0  # the word alone says it all
    assert found.onset() is None


def test_several_classes_are_told_apart(stories: Loaded, plant: Plant) -> None:
    n = 300
    kinds = np.random.default_rng(2).permutation(n) % 3
    centres = np.random.default_rng(4).normal(size=(3, 20))
    plant([noise(n), noise(n, seed=1) + 2 * centres[kinds]])
    names = np.array(["left", "right", "up"])
    for probe in ("logistic", "ridge", "lda", "means"):
        found = ask(stories, texts=lines(n), labels=names[kinds].tolist(), probe=probe)
        assert found.classes == ("left", "right", "up")
        assert abs(found.accuracy[0] - 1 / 3) < 0.1
        assert min(found.accuracy[1], found.auc[1], found.f1[1]) > 0.9
        assert abs(found.control_accuracy[1] - 1 / 3) < 0.06
        assert np.trace(found.confusion(1)) == round(found.guess.shape[1] * found.accuracy[1])
        assert found.margin.shape == (2, n, 3)


def test_the_worst_texts_are_those_with_false_labels(stories: Loaded, plant: Plant) -> None:
    labels = halves(200)
    plant([noise(200) + 8 * np.outer(2 * labels - 1, np.eye(20)[0])] * 2)
    false = labels.copy()
    false[[10, 50, 150]] ^= 1
    found = ask(stories, texts=lines(200), labels=false.tolist(), C=0.01)
    assert set(found.worst(1, 3).tolist()) == {10, 50, 150}


# --- depths of a curve ----------------------------------------------------------------------


def test_a_step_is_found_by_every_rule() -> None:
    curve = np.array([0.5, 0.5, 0.5, 0.9, 0.9, 0.9, 0.9])
    found = summary(curve, curve - 0.03, 0.52)
    assert (found["onset"], found["saturation"], found["peak"]) == (3, 3, 3)
    assert found["half_rise"] == pytest.approx(2 + (0.71 - 0.5) / 0.4)
    assert found["centre_of_mass"] == pytest.approx(3)
    assert found["late_drop"] == 0
    paper = paper_points(curve[1:])  # blocks 0 to 5, the step in front of block 2
    assert paper["jump"] == pytest.approx(2 / 6)
    assert paper["converging"] == pytest.approx(3 / 6)
    assert paper["converging_literal"] == pytest.approx(5 / 6)


def test_one_layer_above_the_floor_is_no_onset() -> None:
    curve = np.array([0.5, 0.9, 0.5, 0.5, 0.8, 0.8])
    assert summary(curve, curve - 0.1, 0.6)["onset"] == 4


def test_a_flat_curve_has_the_first_block_as_its_plateau() -> None:
    curve = 0.75 + 0.005 * np.sin(np.arange(24.0))
    found = paper_points(curve)
    assert np.isnan(found["jump"])
    assert found["converging"] == pytest.approx(1 / 24)
    assert np.isnan(summary(curve, curve - 0.05, 0.8)["half_rise"])


def test_noise_alone_makes_the_jump_of_the_paper() -> None:
    """100 test items at chance over 24 layers: nearly every curve jumps, none is called readable
    by its onset."""
    random = np.random.default_rng(0)
    curves = random.binomial(100, 0.5, size=(200, 24)) / 100
    assert np.mean([np.isfinite(paper_points(one)["jump"]) for one in curves]) > 0.95
    assert np.mean([np.isfinite(summary(one, one - 0.1, 0.5)["onset"]) for one in curves]) < 0.1


@pytest.mark.parametrize("dark", [False, True])
def test_the_figure_shows_band_floor_and_onset(stories: Loaded, plant: Plant, dark: bool) -> None:
    n, labels = 200, halves(200)
    plant([noise(n), noise(n, seed=1), noise(n, seed=2) + 4 * labels[:, None]])
    found = ask(stories, texts=lines(n), labels=labels.tolist())
    for score in ("accuracy", "auc"):
        drawn = figure(found, Look(dark=dark), score=score)
        named = {trace.name: trace for trace in drawn.data if trace.name}
        np.testing.assert_allclose(named["held-out texts"].y, getattr(found, score))
        np.testing.assert_allclose(named["shuffled labels"].y, getattr(found, f"control_{score}"))
        levels = [shape.y0 for shape in drawn.layout.shapes if shape.xref == "x domain"]
        assert levels == [found.highest_floor(score)]
        assert [shape.x0 for shape in drawn.layout.shapes if shape.yref == "y domain"] == [2.0]
    relative = figure(found, Look(), relative=True)
    assert max(relative.data[-1].x) == 1.0
    assert "labels shuffled 20 times" in caption(found)


def test_hostile_text_is_shown_as_text(stories: Loaded, plant: Plant) -> None:
    plant([noise(60)] * 2)
    meant = api.concept("<b>x</b>", positive=[f"{t} <i>" for t in lines(30)], negative=lines(30))
    drawn = figure(ask(stories, concept=meant), Look())
    assert "<b>x" not in drawn.layout.title.text
