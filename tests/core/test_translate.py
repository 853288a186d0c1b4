"""Directions carried between models: all of it into a copy, a planted one, and no noise."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core import api
from core.analyses.contrast import Sides, cosine
from core.analyses.translate import _carried
from core.figures import translate as drawing
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.translate import Translate
from core.spec.errors import Error
from tests.core.two_models import LONG, TEXTS, stranger, twin

UP = [f"{name} has a {word}" for name in ("Tom", "Ben") for word in ("dog", "cat", "horse", "cow")]
DOWN = [f"{name} has a {word}" for name in ("Tom", "Ben") for word in ("hat", "cup", "book", "key")]
ITEMS = {"positive": UP, "negative": DOWN}


def test_a_direction_of_a_shared_code_is_carried_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    code = rng.normal(size=(300, 8))
    here, there = rng.normal(size=(8, 20)), rng.normal(size=(8, 30))
    x, y = (code @ side + 0.1 * rng.normal(size=(300, side.shape[1])) for side in (here, there))
    items = rng.normal(size=(60, 8))
    items[:30, 2] += 4
    label = np.arange(60) < 30
    sides = [
        Sides((items @ side)[label], (items @ side)[~label], paired=False) for side in (here, there)
    ]
    found = _carried(x, y, sides[0], sides[1], rng)
    assert found["map_r2"] > 0.95
    assert found["cosine"] > 0.95
    assert found["auc_carried"] > 0.95
    assert abs(found["auc_carried"] - found["auc_own"]) < 0.05
    assert np.abs(found["auc_random"] - 0.5).mean() < 0.35
    assert np.abs(found["control_cosine"]).mean() < 0.6
    truth = there[2]
    assert cosine(found["carried"], truth) > cosine(found["carried"], there[3]) + 0.3
    np.testing.assert_allclose(
        np.linalg.norm(found["random"], axis=1), np.linalg.norm(found["carried"]), rtol=1e-9
    )


def test_into_a_copy_all_of_a_direction_is_carried(llama: Loaded) -> None:
    result = api.run("translate", llama, other=twin(llama), texts=[*TEXTS, *LONG], **ITEMS)
    assert result.cosine.min() > 0.8
    np.testing.assert_allclose(result.direction, result.own, atol=1e-6)
    np.testing.assert_allclose(result.counterpart, [0, 1, 2])
    assert result.n_tested == 4
    # With its own difference added, the copy does what the difference of the first model does.
    assert np.isfinite(result.effect_own).all()
    assert len(result.to_frame()) == 3


def test_nothing_of_the_concept_is_in_the_map(llama: Loaded) -> None:
    result = api.run("translate", llama, other=twin(llama), texts=[*TEXTS, *UP, *DOWN], **ITEMS)
    assert result.n_map == len(set(TEXTS) - set(UP) - set(DOWN))


@pytest.fixture(scope="module")
def gender() -> Translate:
    m = api.load("embedded", device="cpu")
    return api.run("translate", m, other="embedded-small", concept="gender")


def test_gender_is_read_and_pushed_in_another_family(gender: Translate) -> None:
    last = -1
    assert gender.auc_carried[last] > 0.9
    assert gender.auc_carried[last] > gender.chance(5) + 0.1
    assert abs(gender.auc_lost[last] - 0.5) < 0.3
    assert gender.cosine[last] > 0.6
    assert np.abs(gender.control_cosine).mean() < 0.25
    assert gender.carried.shape == (6, 128)
    assert gender.effect_own[last] > 0.5
    said = {*gender.raises[last], *gender.lowers[last]}
    assert said & {" he", " his", " she", " her"}


def test_into_the_tuned_model_a_direction_is_carried_at_every_layer() -> None:
    m = api.load("embedded", device="cpu")
    result = api.run("translate", m, other="embedded-tuned", concept="gender")
    assert result.cosine.min() > 0.8
    assert np.abs(result.auc_carried - result.auc_own).max() < 0.12
    assert result.auc_carried[1:].min() > 0.85
    late = slice(3, None)
    assert (result.effect_carried[late] > result.effect_random[late].max(axis=1) + 0.15).all()


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_other_kinds_are_read_and_not_steered(
    family: str, llama: Loaded, tiny: Callable[[str], Path]
) -> None:
    other = api.load(tiny(family), device="cpu")
    result = api.run("translate", llama, other=other, texts=LONG, **ITEMS)
    assert np.isfinite(result.auc_carried).all()
    assert np.isnan(result.effect_carried).all()
    with pytest.raises(Error, match="no steering"):
        drawing.figure(result, Look(), view="steering")


def test_between_strangers_little_is_carried(llama: Loaded) -> None:
    result = api.run("translate", llama, other=stranger(llama), texts=LONG, **ITEMS)
    assert result.cosine[-1] < 0.6
    assert (
        result.cosine[-1]
        < api.run("translate", llama, other=twin(llama), texts=LONG, **ITEMS).cosine[-1] - 0.2
    )


def test_the_figures_show_it_beside_random_directions(gender: Translate) -> None:
    for look in (Look(), Look(dark=True, width=700)):
        for view in drawing.VIEWS:
            assert drawing.figure(gender, look, view=view).data
    assert "carried from embedded into embedded-small" in drawing.title(gender)
    assert "random directions through the same map" in drawing.caption(gender)
    with pytest.raises(Error, match="is seen as"):
        drawing.figure(gender, Look(), view="pie")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "needs a concept"),
        ({**ITEMS, "position": "token"}, "'last' or 'mean'"),
        ({**ITEMS, "strength": -1}, "above 0"),
        ({**ITEMS, "texts": UP}, "at least 20"),
        ({"positive": ["one"], "negative": ["two"]}, "at least 2 texts"),
        ({**ITEMS, "texts": "x"}, "a list of texts"),
    ],
)
def test_what_cannot_be_carried_is_a_sentence(
    options: dict[str, object], said: str, llama: Loaded
) -> None:
    with pytest.raises(Error, match=said):
        api.run("translate", llama, other=llama, **options)
