"""Other meanings of words: what a probe makes itself it makes for all of them."""

from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from core import api
from core.corpus import meanings as texts_of
from core.figures import meaning_control as drawing
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.meaning_control import MeaningControl
from core.spec.errors import Error
from core.spec.meanings import MEANINGS

module = import_module("core.analyses.meaning_control")
WORDS = np.arange(160) % 16
TEXTS = [f"number {n} is the cat" for n in range(160)]
REAL = (WORDS < 8).astype(int)


def run(m: Loaded, **options: Any) -> MeaningControl:
    found = api.run("meaning_control", m, **options)
    assert isinstance(found, MeaningControl)
    return found


def others(n: int = 20) -> list[list[int]]:
    """Sides of the words drawn anew, eight of sixteen each."""
    rng = np.random.default_rng(4)
    return [(rng.permutation(16)[WORDS] < 8).astype(int).tolist() for _ in range(n)]


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[[np.ndarray], None]:
    def put(layers: np.ndarray) -> None:
        found = SimpleNamespace(vectors=[torch.tensor(layers).float()])
        monkeypatch.setattr(module, "states", lambda *_, **__: found)

    return put


ASKED: dict[str, Any] = {"texts": TEXTS, "labels": REAL.tolist(), "others": others()}


def test_states_that_hold_words_alone_hold_no_meaning(
    stories: Loaded, plant: Callable[[np.ndarray], None]
) -> None:
    """The probe reads every meaning of a one-hot word perfectly: none of them is in the states."""
    rng = np.random.default_rng(0)
    layers = 5 * np.eye(16)[WORDS] + 0.1 * rng.normal(size=(6, 160, 16))
    plant(layers)
    found = run(stories, **ASKED)
    assert found.auc.min() > 0.99
    assert found.other_auc.min() > 0.99
    assert not found.held
    assert "may make the meaning itself" in drawing.title(found)


def test_a_meaning_planted_from_a_layer_on_is_held_from_there_on(
    stories: Loaded, plant: Callable[[np.ndarray], None]
) -> None:
    rng = np.random.default_rng(1)
    layers = rng.normal(size=(6, 160, 12))
    layers[3:, :, 2] += 4 * REAL
    plant(layers)
    found = run(stories, **ASKED)
    assert found.held
    assert found.best >= 3
    assert found.excess[3:].min() > 0.35
    assert np.abs(found.excess[:3]).max() < 0.15
    assert found.p == pytest.approx(1 / 21)
    assert found.nested_others.max() < found.nested
    assert found.excess_low[3] > 0.2
    assert abs(found.control_auc.mean() - 0.5) < 0.05


def test_noise_is_not_called_a_meaning(
    stories: Loaded, plant: Callable[[np.ndarray], None]
) -> None:
    rng = np.random.default_rng(2)
    held = 0
    for seed in range(5):
        plant(rng.normal(size=(6, 160, 12)))
        held += run(stories, **ASKED, seed=seed).held
    assert held <= 1


@pytest.mark.parametrize("name", MEANINGS)
def test_other_meanings_are_as_hard_and_another_thing(name: str) -> None:
    one = texts_of.named(name, 12, 0)
    assert one.others.shape == (len(one.texts), 12)
    assert len(set(one.texts)) == len(one.texts)
    share = (one.others == one.label[:, None]).mean(axis=0)
    assert np.abs(share - 0.5).max() <= 0.2
    assert np.abs(one.others.mean(axis=0) - one.label.mean()).max() < 0.12
    again = texts_of.named(name, 12, 0)
    np.testing.assert_array_equal(one.others, again.others)
    assert (texts_of.named(name, 12, 1).others != one.others).any()


def test_meanings_of_sums_and_months_are_exchanged_words_under_the_same_rule() -> None:
    one = texts_of.named("sums", 5, 3)
    table = dict(zip(one.texts, one.others, strict=True))
    # a + b and b + a hold the same words.
    assert (table["Three plus four is"] == table["Four plus three is"]).all()
    assert one.label[list(one.texts).index("Six plus five is")] == 1
    assert one.label[list(one.texts).index("Five plus five is")] == 0
    months = texts_of.named("months", 5, 3)
    labels = dict(zip(months.texts, months.label, strict=True))
    assert labels["Two months after May is"] == 1
    assert labels["Two months before May is"] == 0


def test_the_embedded_model_holds_what_months_mean_and_fresh_weights_do_not() -> None:
    found = run(api.load("embedded", device="cpu"), case="months", untrained=True)
    assert found.held
    assert found.auc[-1] > 0.95
    assert found.excess[1:].min() > 0.2
    assert found.excess[0] == 0  # every text ends in the same word
    assert np.abs(found.untrained_excess).max() < 0.1
    assert abs(found.words_auc[0] - found.words_auc[1:].mean()) < 0.06


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "say which texts"),
        ({"case": "sums", **ASKED}, "say which texts"),
        ({"case": "none"}, "no texts with other meanings 'none'"),
        ({"case": "sums", "meanings": 0}, "a number from 1 to 200"),
        ({**ASKED, "others": []}, "1 to 200 lists"),
        ({**ASKED, "others": [[1] * 160]}, "one class"),
        ({**ASKED, "others": [[0, 2] * 80]}, "the same two are needed"),
        ({**ASKED, "labels": [0, 1, 2, 3] * 40}, "told apart for two classes"),
        ({**ASKED, "labels": [0, 1]}, "labels"),
        ({**ASKED, "groups": ["one"] * 160}, "one group"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(
    stories: Loaded, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(Error, match=said):
        run(stories, **options)


@pytest.mark.parametrize("view", drawing.VIEWS)
@pytest.mark.parametrize("look", [Look(), Look(dark=True, titled=False)])
def test_the_figures_show_all_other_meanings(stories: Loaded, view: str, look: Look) -> None:
    found = run(stories, **{**ASKED, "others": others(3)}, folds=2)
    fig = drawing.figure(found, look, view=view)
    names = {trace.name for trace in fig.data}
    wanted = "real meaning" if view == "scores" else "every other meaning above the rest"
    assert wanted in names
    assert "labels shuffled 20 times" in drawing.caption(found)
    assert len(found.to_frame()) == 6
    with pytest.raises(Error, match="the figure can show"):
        drawing.figure(found, look, view="pie")
