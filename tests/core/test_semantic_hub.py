"""Two forms of one meaning: planted states, mixed pairs, shared tokens and fresh weights."""

import numpy as np
import pytest

from core import api
from core.analyses.clouds import cosines
from core.analyses.runs import Silent
from core.analyses.semantic_hub import adjusted, compared, semantic_hub
from core.corpus.forms import FORMS, forms
from core.figures import semantic_hub as drawing
from core.figures.theme import Look
from core.results.semantic_hub import FORM_SETS, SemanticHub
from core.spec.errors import Error

LANGUAGES = "embedded: languages and translations"


@pytest.fixture(scope="module")
def model():
    return api.load("embedded")


@pytest.fixture(scope="module")
def found(model) -> SemanticHub:
    return semantic_hub(model, Silent(), concepts=LANGUAGES)


def planted(meaning: float, form: float, n: int = 30, d: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Two forms: what they mean, what all texts of the form share, and noise."""
    rng = np.random.default_rng(0)
    meant = meaning * rng.normal(size=(n, d))
    return tuple(meant + form * rng.normal(size=d) + rng.normal(size=(n, d)) for _ in range(2))  # type: ignore[return-value]


def test_a_planted_meaning_is_found_although_the_forms_lie_apart():
    x, z = planted(1.0, 6.0)
    seen = compared(x, z, np.random.default_rng(0))
    assert seen["centred"] == pytest.approx(0.5, abs=0.06)
    assert seen["centred_low"] > seen["centred_control"]
    assert seen["similarity"] < 0.1  # what a form shares drowns it
    assert seen["found"] > 0.8


def test_forms_without_a_common_meaning_are_not_alike_and_mixed_pairs_average_zero():
    x, z = planted(0.0, 6.0)
    seen = compared(x, z, np.random.default_rng(0))
    assert abs(seen["centred"]) < seen["centred_control"] * 1.5
    assert seen["found"] < 0.2
    rng = np.random.default_rng(1)
    alike = cosines(*planted(1.0, 0.0))
    assert abs(np.mean([adjusted(alike, rng.permutation(30)) for _ in range(300)])) < 0.02


def test_the_adjusted_similarity_is_its_formula_and_unchanged_by_rotation_and_order():
    x, z = planted(1.0, 1.0, n=12)
    alike = cosines(x, z)
    others = [alike[i, j] for i in range(12) for j in range(12) if i != j]
    assert adjusted(alike) == pytest.approx(np.diag(alike).mean() - np.mean(others))
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(48, 48)))[0]
    order = np.random.default_rng(3).permutation(12)
    assert adjusted(cosines((x @ turn)[order], (z @ turn)[order])) == pytest.approx(adjusted(alike))


def test_states_that_are_all_equal_find_nothing():
    x = np.ones((10, 4))
    seen = compared(x, x, np.random.default_rng(0))
    assert seen["found"] == 0
    assert seen["centred"] == pytest.approx(0)


def test_languages_meet_inside_the_embedded_model_and_not_with_fresh_weights(found):
    for name in ("English and French", "English and Spanish", "French and Spanish"):
        group = found.groups.index(name)
        row = found.best[group]
        assert found.centred_low[row, group] > found.centred_control[row, group]
        assert found.centred[row, group] > 2 * found.untrained[row, group]
        assert found.centred[row, group] > found.centred[-1, group]
    english = found.groups.index("English and French")
    assert found.hub(english)
    assert abs(found.shared[english]) < 0.05


def test_forms_that_share_tokens_are_alike_with_fresh_weights_too(found):
    group = found.groups.index("a translation said in two ways")
    assert found.shared[group] > 0.08
    assert found.untrained[1:, group].max() > 0.1


def test_sums_asked_in_two_ways_come_together_beyond_shared_words(model):
    found = semantic_hub(model, Silent(), concepts="embedded: sums and dates asked in two ways")
    assert (found.centred[1:].max(axis=0) > found.untrained[1:].max(axis=0) + 0.1).all()
    assert found.found[-2:, 0].max() > 0.9


def test_a_text_that_ends_with_punctuation_is_continued(model):
    pairs = [("The dog is red.", "Le chien est rouge."), ("The cat is blue.", "Le chat est bleu."),
             ("The cow is green", "La vache est verte!")]  # fmt: skip
    found = semantic_hub(model, Silent(), concepts=pairs, contexts=("{}",), untrained_too=False)
    assert found.n_continued == 5
    assert found.first[0] == "The dog is red."
    assert np.isnan(found.untrained).all()
    plain = semantic_hub(
        model, Silent(), concepts=pairs, contexts=("{}",), untrained_too=False, continuation=""
    )
    assert plain.n_continued == 0
    assert not np.allclose(plain.similarity[-1], found.similarity[-1])


def test_every_built_in_set_has_pairs_of_different_texts():
    assert tuple(FORMS) == FORM_SETS
    for one in FORMS.values():
        for group in one.groups:
            assert len(set(group.items)) == len(group.items) >= 12
            assert len(set(group.targets)) == len(group.targets)
    with pytest.raises(Error, match="there are"):
        forms("none")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"concepts": "embedded: days"}, "are pairs"),
        ({"concepts": [("a", "b"), ("c", "d")]}, "has 2 pairs"),
        ({"concepts": LANGUAGES, "only": ("none",)}, "has no group"),
        ({"concepts": LANGUAGES, "continuation": 3}, "is a text"),
        ({"concepts": LANGUAGES, "prepare": "odd"}, "prepare= is"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(model, options, said):
    with pytest.raises(Error, match=said):
        semantic_hub(model, Silent(), **options)


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_forms_are_compared_in_every_kind_of_model(tiny, family):
    found = semantic_hub(
        api.load(tiny(family)), Silent(), concepts="forms", only=("numbers in words and digits",)
    )
    assert np.isfinite(found.centred[1:]).all()


@pytest.mark.parametrize("view", drawing.VIEWS)
@pytest.mark.parametrize("dark", [False, True])
def test_every_view_is_drawn_with_titled_axes(found, view, dark):
    fig = drawing.figure(found, Look(dark=dark), view=view)
    assert fig.layout.title.text
    assert fig.layout.xaxis.title.text
    assert fig.layout.yaxis.title.text


def test_the_words_say_the_controls_and_what_is_shared(found):
    said = drawing.title(found) + drawing.caption(found)
    assert "mixed pairs" in said
    assert "fresh weights" in said
    assert "150 pairs" in said
    assert drawing.figure(found, Look(), show="similarity", group=1)
    for options in ({"view": "odd"}, {"show": "odd"}, {"group": 9}):
        with pytest.raises(Error):
            drawing.figure(found, Look(), **options)
    assert len(found.to_frame()) == found.centred.size
