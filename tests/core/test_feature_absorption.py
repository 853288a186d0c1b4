"""A feature that stands in for a general one is found, and none where none was planted."""

from typing import Any

import numpy as np
import pytest
import torch

from core import api
from core.analyses import feature_absorption as module
from core.analyses import spelling
from core.analyses.absorption_rates import Material, learned, rates
from core.analyses.feature_concept import halves
from core.analyses.runs import Silent
from core.figures.feature_absorption import caption, figure, title
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.feature_absorption import FeatureAbsorption
from core.spec.errors import Error
from tests.core.feature_models import carrying, dictionary, reads

D, KINDS, EACH = 48, 20, 10  # a kind so small that the probe does without it
MEMBER = np.arange(2 * KINDS * EACH) < KINDS * EACH
ANIMALS = ["dog", "cat", "bird", "fish", "bear", "frog", "duck", "bug"]
THINGS = ["ball", "tree", "car", "house", "box", "toy", "hat", "bed"]


def material(*, absorbs: bool) -> Material:
    """Twenty kinds of animals and of things. Feature 0 is "animal", 1 to 40 the kinds; if it
    absorbs, feature 1 writes what feature 0 would on its kind, and feature 0 keeps silent there."""
    generator = np.random.default_rng(0)
    basis = np.linalg.qr(generator.normal(size=(D, D)))[0]
    kind = np.repeat(np.arange(2 * KINDS), EACH)
    x = 3 * MEMBER[:, None] * basis[0] + 2 * basis[1 + kind]
    x = x + 0.1 * generator.normal(size=x.shape)
    rows = basis[: 1 + 2 * KINDS].copy()
    codes = np.zeros((len(x), len(rows)))
    codes[np.arange(len(x)), 1 + kind] = 2
    codes[MEMBER, 0] = 3
    if absorbs:
        codes[kind == 0, 0] = 0
        rows[1] = (3 * basis[0] + 2 * basis[1]) / 13**0.5
        codes[kind == 0, 1] = 13**0.5
    return Material(x, codes, rows, halves(MEMBER, False, 0))


def test_a_planted_absorber_is_found_on_its_kind_alone() -> None:
    of = material(absorbs=True)
    found = learned(of, MEMBER)
    got = rates(of, found)
    kind = np.repeat(np.arange(2 * KINDS), EACH)[found.right]
    assert found.probe_f1 > 0.98
    assert found.main[0] == 0
    np.testing.assert_array_equal(got.absorbed, kind == 0)
    assert got.absorbed.any()
    assert set(got.absorber[got.absorbed].tolist()) == {1}
    assert (got.share[got.absorbed] > 0.7).all()
    assert (got.fraction[got.absorbed] > 0.99).all()
    assert (got.fraction[~got.absorbed] < 0.2).all()
    shuffled = of.rows[np.random.default_rng(1).permutation(len(of.rows))]
    assert rates(of, found, shuffled).absorbed.mean() < 0.05


def test_nothing_is_absorbed_where_the_general_feature_always_fires() -> None:
    of = material(absorbs=False)
    got = rates(of, learned(of, MEMBER))
    assert not got.absorbed.any()
    assert not got.silent.any()
    assert got.fraction.max() < 0.2


@pytest.fixture(scope="module")
def planted(stories: Loaded) -> Loaded:
    """Feature 3 reads all animals but "dog", which feature 17 reads and writes all of."""
    made = dictionary(stories, "L0.resid_pre", n=40)
    words = [*ANIMALS, *THINGS]
    made.W_enc.mul_(0.01)
    made.b_enc.fill_(-1.0)
    reads(made, stories, 3, ANIMALS[1:], words)
    reads(made, stories, 17, ANIMALS[:1], words)
    emb = stories.module.get_input_embeddings().weight.detach()
    ids = {w: stories.tokenizer(w, add_special_tokens=False)["input_ids"][-1] for w in words}
    up = emb[[ids[w] for w in ANIMALS]].mean(0) - emb[[ids[w] for w in THINGS]].mean(0)
    made.W_dec[3] = up
    made.W_dec[17] = 3 * up
    return carrying(stories, made)


def test_the_analysis_reports_main_features_rates_and_chance(planted: Loaded) -> None:
    found = api.run(
        "feature_absorption",
        planted,
        dictionary="made",
        positive=[f"{a} {w}" for w in ANIMALS for a in ("the", "a", "one", "his")],
        negative=[f"{a} {w}" for w in THINGS for a in ("the", "a", "one", "his")],
    )
    assert isinstance(found, FeatureAbsorption)
    assert 3 in found.main[0]
    assert (found.absorbed <= found.silent).all()
    assert (
        len(found.texts)
        == len(found.absorber)
        == round(float(found.absorbed[0] * found.n_right[0]))
    )
    assert all("dog" in text for text in found.texts) or 17 in found.main[0]
    for look in (Look(), Look(dark=True, titled=False)):
        assert len(figure(found, look).data) == 4
    assert "other features stand in on" in title(found)
    assert "decoder rows shuffled 20 times" in caption(found)
    assert found.to_frame().main[0] == found.main[0]


def test_a_model_that_does_not_spell_is_refused_in_a_sentence(planted: Loaded) -> None:
    with pytest.raises(Error, match="does not spell: it names the first letter of"):
        api.run("feature_absorption", planted, dictionary="made", task="first letter")


def test_letters_are_the_classes_of_a_model_that_spells(
    planted: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [f"{letter}{rest}" for letter in "bt" for rest in "aeiouryl"] + ["xa"]
    monkeypatch.setattr(spelling, "words", lambda *_: known)
    monkeypatch.setattr(module, "words", lambda *_: known)
    monkeypatch.setattr(spelling, "spelled", lambda *_: 0.9)
    found = api.run("feature_absorption", planted, dictionary="made", task="first letter")
    assert isinstance(found, FeatureAbsorption)
    assert found.spelling == 0.9
    assert found.classes == ("b", "t")  # one word is too few
    assert "names the first letter of 90 %" in caption(found)


def test_spelling_is_counted_by_the_first_choice(
    stories: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = stories.tokenizer("b", add_special_tokens=False)["input_ids"][-1]

    class Said:
        logits = torch.nn.functional.one_hot(torch.tensor([[token]] * 3), stories.d_vocab).float()

    monkeypatch.setattr(spelling, "run", lambda *_, **__: Said)
    share = spelling.spelled(stories, Silent(), ["bear", "cat", "big"])
    assert share == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"task": "colours"}, "measured on concept or first letter"),
        ({"shuffles": 1}, "shuffles must be"),
        ({}, "say which concept"),
        ({"positive": ["a"], "negative": ["b", "c", "d", "e"]}, "at least 4 are needed"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    planted: Loaded, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(Error, match=words):
        api.run("feature_absorption", planted, dictionary="made", **options)
