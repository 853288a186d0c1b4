"""What depth does with what it is asked: groups, copies, long texts, bad input, every family."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import api
from core.figures.table import caption
from core.models.loaded import Loaded
from core.results.depth import Depth
from core.spec.concept import Concept
from tests.core.depth_case import ANIMALS, FOODS, ask, framed, halves, lines
from tests.families.recipes import FAMILIES

# --- what is asked about --------------------------------------------------------------------


def test_copies_of_a_text_stay_together_and_it_is_said(stories: Loaded) -> None:
    texts = [*lines(60), *lines(20)]
    labels = [*halves(60).tolist(), *halves(60)[:20].tolist()]
    found = ask(stories, texts=texts, labels=labels)
    (note,) = [each for each in found.notes if "copies" in each]
    assert note == "20 texts are copies of another; copies stay on one side of every split"
    assert note in caption(found)
    assert all(found.fold[n] == found.fold[60 + n] for n in range(20))
    assert found.n_groups == 60
    assert not found.grouped
    grouped = ask(stories, texts=texts, labels=labels, groups=[f"g{n}" for n in range(80)])
    assert all(len(set(grouped.fold[[n, 60 + n]])) == 1 for n in range(20))


def test_groups_stay_on_one_side(stories: Loaded) -> None:
    texts, labels, words = framed()
    found = ask(stories, texts=texts, labels=labels, groups=words)
    for word in set(words):
        assert len(set(found.fold[[w == word for w in words]])) == 1
    assert found.n_groups == 80


def test_few_groups_make_few_folds_and_it_is_said(stories: Loaded) -> None:
    groups = ["a", "b"] * 30
    found = ask(stories, texts=lines(60), labels=halves(60).tolist(), groups=groups)
    assert found.n_folds == 2
    assert any("2 groups make as many folds, not 5" in note for note in found.notes)


def test_a_concept_is_its_positive_against_its_negative_texts(stories: Loaded) -> None:
    meant = api.concept("kinds", positive=ANIMALS, negative=FOODS)
    found = ask(stories, concept=meant)
    assert found.classes == ("negative", "positive")
    assert found.label.sum() == len(ANIMALS)
    assert found.concept == "kinds"
    paired = Concept("pairs", ANIMALS, FOODS, paired=True)
    pairs = ask(stories, concept=paired)
    assert pairs.grouped
    assert pairs.n_groups == 40


def test_positions_are_those_asked_for(stories: Loaded) -> None:
    """The first word decides: its own token says so at the embedding, the last one cannot."""
    labels = halves(80)
    words = ["tree" if one else "ball" for one in labels]
    texts = [f"{word} {tail} end" for word, tail in zip(words, lines(80), strict=True)]
    options: dict[str, Any] = {"texts": texts, "labels": labels.tolist()}
    assert ask(stories, **options).accuracy[0] == pytest.approx(0.5)
    at_word = ask(stories, words=words, position="word", **options)
    assert at_word.accuracy[0] == 1.0
    assert (at_word.position, at_word.types) == ("word", "word")
    mean = ask(stories, position="mean", **options)
    assert mean.accuracy[0] > 0.9
    assert mean.types == ""
    assert np.isnan(mean.selectivity).all()
    assert any("no control task" in note for note in mean.notes)
    assert ask(stories, position="-2", **options).position == "-2"


def test_texts_that_are_too_long_are_refused_or_cut(stories: Loaded) -> None:
    texts = [*lines(30), "once upon a time " * 300 + "the cat"]
    labels = [*halves(30).tolist(), 1]
    with pytest.raises(api.Error, match=r"text 31 has .* tokens and .* takes at most 512"):
        ask(stories, texts=texts, labels=labels)
    found = ask(stories, texts=texts, labels=labels, too_long="cut")
    assert any("only their ends are read" in note for note in found.notes)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "texts= with labels="),
        ({"texts": lines(9), "labels": [1] * 9}, "one class only"),
        ({"texts": lines(9), "labels": [0] * 6 + [1] * 3}, "3 texts and 5 folds .* folds=3"),
        ({"texts": lines(9), "labels": [0, 1]}, "9 texts and 2 labels"),
        ({"texts": lines(4), "labels": [0, 1, None, 1]}, "text 3 has no label"),
        ({"texts": ["a", " ", "b"], "labels": [0, 1, 0]}, "text 2 is empty"),
        ({"texts": lines(90), "labels": [0.01 * i for i in range(90)]}, "90 classes; at most 50"),
        ({"texts": lines(6), "labels": [0, 1] * 3, "groups": ["g"] * 6}, "every text is in one gr"),
        ({"texts": lines(6), "labels": [0, 1] * 3, "groups": [1]}, "6 texts and 1 groups"),
        ({"texts": lines(6), "labels": [0, 0, 0, 1, 1, 1], "groups": ["a"] * 3 + ["b"] * 3},
         "groups of one fold"),
        ({"texts": lines(20), "labels": [0, 1] * 10, "folds": 1}, "from 2 to 100"),
        ({"texts": lines(20), "labels": [0, 1] * 10, "C": 0}, "C= is a number"),
        ({"texts": lines(20), "labels": [0, 1] * 10, "probe": "forest"}, "no probe 'forest'"),
        ({"texts": lines(20), "labels": [0, 1] * 10, "position": "first"}, "no position 'first'"),
        ({"texts": lines(20), "labels": [0, 1] * 10, "position": "word"}, "needs words="),
        ({"texts": lines(20), "labels": [0, 1] * 10, "position": "word", "words": "zebra"},
         "text 1 does not hold its word"),
        ({"texts": lines(20), "labels": [0, 1] * 10, "too_long": "no"}, "too_long="),
        ({"concept": "no such thing"}, "no concept"),
        ({"labelled": {"name": "x"}}, "needs"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(stories: Loaded, options: dict[str, Any], said: str) -> None:
    with pytest.raises(api.Error, match=said):
        ask(stories, **options)


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "distilbert"])
def test_every_family_is_read(family: str, tiny: Callable[[str], Path]) -> None:
    m = api.load(tiny(family), device="cpu")
    found = ask(m, texts=lines(16), labels=[0, 1] * 8, folds=2)
    n = found.n_layers + 1
    assert n in (m.n_layers + 1, 3)  # an encoder-decoder is read in its encoder
    for name in ("accuracy", "control_accuracy", "auc", "f1"):
        values = found.arrays()[name]
        assert values.shape == (n,)
        assert np.isfinite(values).all()
    assert found.site(0).endswith("L0.resid_pre")


# --- what is shown --------------------------------------------------------------------------


def test_fresh_weights_read_the_words_and_no_more(stories: Loaded) -> None:
    texts, labels, words = framed()
    found = ask(stories, texts=texts, labels=labels, groups=words, C=0.01, untrained=True)
    assert found.untrained_accuracy.max() < 0.65
    assert found.accuracy.max() > found.untrained_accuracy.max() + 0.05


def test_an_answer_is_saved_and_opened_again(stories: Loaded, tmp_path: Path) -> None:
    found = ask(stories, texts=lines(40), labels=halves(40).tolist())
    again = api.open_result(found.save(tmp_path))
    assert isinstance(again, Depth)
    for name, values in found.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], values)
    assert again.texts == found.texts
    assert len(found.to_frame()) == found.n_layers + 1


# --- directions of a layer ------------------------------------------------------------------


def test_a_class_stands_against_the_others_and_its_gap_is_the_distance_of_the_means(
    stories: Loaded,
) -> None:
    """The gap against the states themselves, along the direction."""
    from core.analyses.runs import Silent
    from core.analyses.states import encoded, states

    texts, labels, _ = framed()
    three = [f"{label}{number % 2}" if label else "0" for number, label in enumerate(labels)]
    x = states(stories, Silent(), encoded(stories, texts), embedding=True).vectors[0, 3].numpy()
    for own in (labels, three):
        found = ask(stories, texts=texts, labels=own, probe="ridge")
        for output in range(len(found.classes)):
            along = found.against(3, output)
            assert np.linalg.norm(along) == pytest.approx(1)
            here = found.label == output
            meant = (x[here] @ along).mean() - (x[~here] @ along).mean()
            assert found.gap(3, output) == pytest.approx(meant, rel=0.35)
            auc = (found.towards(3, output)[here][:, None] > found.towards(3, output)[~here]).mean()
            assert auc > 0.5
    pair = ask(stories, texts=texts, labels=labels)
    np.testing.assert_allclose(pair.against(2, 0), -pair.against(2, 1))
    np.testing.assert_allclose(pair.against(2, 1), pair.direction[2, 0], atol=1e-6)


def test_the_scores_of_a_layer_are_counted_in_its_figure(stories: Loaded) -> None:
    from core.figures.depth import margins
    from core.figures.theme import Look

    texts, labels, _ = framed()
    found = ask(stories, texts=texts, labels=labels)
    for dark in (False, True):
        fig = margins(found, Look(dark=dark), layer=3)
        others, own = (int(sum(bar.y)) for bar in fig.data)
        assert (others, own) == (labels.count(0), labels.count(1))
