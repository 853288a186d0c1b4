"""Which neurons fire on a target: planted, by brute force, and beyond chance."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import api
from core.analyses import neuron_fires as module
from core.analyses.neuron_fires import N_SHIFTS, _half
from core.corpus.chunks import Contexts, contexts
from core.corpus.reference import paragraphs
from core.corpus.spans import label_spans, target_tokens, word_spans
from core.corpus.world.words import ATTRIBUTES
from core.models.loaded import Loaded
from core.results.neuron_fires import NeuronFires
from core.spec.errors import Error
from tests.core.planted import plant_reader

CORPUS = tuple(
    f"{who} saw {what} in the {place}."
    for who in ("Tom", "Anna", "He")
    for what in ("a cat", "the dog", "one apple", "a cat and the dog")
    for place in ("garden", "house", "sun")
)


def fires(m: Loaded, **options: Any) -> NeuronFires:
    result = api.run("neuron_fires", m, **{"corpus": CORPUS, "window": 64, **options})
    assert isinstance(result, NeuronFires)
    return result


@pytest.fixture(scope="module")
def planted(llama: Loaded) -> Loaded:
    return plant_reader(llama, layer=0, neuron=11, word="cat")


def test_a_planted_neuron_ranks_first(planted: Loaded) -> None:
    # Among many words, so that no other neuron separates this one by chance.
    corpus = (*CORPUS, *paragraphs())
    result = fires(planted, words=["cat"], corpus=corpus)
    assert (result.best_layer[0], result.best_neuron[0]) == (0, 11)
    assert result.best_f1[0] == result.best_auc[0] == 1.0
    assert result.best_f1[0] > result.control_f1.max()
    assert result.n_beyond >= 1
    again = fires(planted, pattern=r"(?:[aA]) (cat)\b", corpus=corpus)
    assert (again.best_layer[0], again.best_neuron[0]) == (0, 11)
    assert sum(result.n_targets) == len(re.findall(r"(?i)\bcat\b", " ".join(corpus)))
    assert sum(again.n_targets) == len(re.findall(r"[aA] cat\b", " ".join(corpus)))


def truth(
    m: Loaded, made: Contexts, result: NeuronFires, row: int, marks: list[list[bool]]
) -> tuple[float, ...]:
    """(precision, recall, F1) of a row of the table on half B, token by token."""
    site = f"L{result.best_layer[row]}.neuron[{result.best_neuron[row]}]"
    both = fired = meant = 0
    for window, marked in zip(made.windows, marks, strict=True):
        if _half(window.document) == 0:
            continue
        values = api.trace(m, made.documents[window.document].text, [site])[site]
        fire = result.best_direction[row] * values >= result.threshold[row]
        for kept, value, mark in zip(window.keep, fire, marked, strict=True):
            fired += kept and value
            meant += mark
            both += mark and value
    return both / max(1, fired), both / meant, 2 * both / (fired + meant)


def test_scores_are_those_of_counting_token_by_token(llama: Loaded) -> None:
    result = fires(llama, words=["dog", "sun"], k=12)
    made = contexts(llama, CORPUS, window=64)
    texts = [document.text for document in made.documents]
    marks = target_tokens(made, word_spans(["dog", "sun"], texts))
    for row in (0, 5, 11):
        wanted = truth(llama, made, result, row, marks)
        found = (result.precision[row], result.recall[row], result.best_f1[row])
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    layer, neuron = result.best_layer[0], result.best_neuron[0]
    assert result.f1[layer, neuron] == result.best_f1[0]


def test_auc_is_the_chance_that_a_target_lies_higher(llama: Loaded) -> None:
    result = fires(llama, words=["dog", "sun"])
    made = contexts(llama, CORPUS, window=64)
    texts = [document.text for document in made.documents]
    marks = target_tokens(made, word_spans(["dog", "sun"], texts))
    for neuron in (0, 7):
        target, other = [], []
        for window, marked in zip(made.windows, marks, strict=True):
            if _half(window.document):
                text = made.documents[window.document].text
                values = api.trace(llama, text, [f"L1.neuron[{neuron}]"])[f"L1.neuron[{neuron}]"]
                for kept, value, mark in zip(window.keep, values, marked, strict=True):
                    if kept:
                        (target if mark else other).append(value)
        pairs = np.array(target)[:, None] - np.array(other)
        wanted = (pairs > 0).mean()
        # Values of one half octave count as equal.
        assert result.auc[1, neuron] == pytest.approx(wanted, abs=0.08)


def test_a_random_model_does_not_beat_its_control_by_much(llama: Loaded) -> None:
    result = fires(llama, words=["a", "the", "one"], layer=2)
    assert result.control_f1.shape == result.control_auc.shape == (N_SHIFTS,)
    assert result.layers == (2,)
    assert result.control_f1.mean() > result.always[1]  # the best of many is better than none
    assert (np.abs(result.auc - 0.5) <= 0.5).all()


def test_the_planted_labels_of_the_world_are_found_in_the_shipped_model() -> None:
    m = api.load("embedded", device="cpu")
    result = fires(m, label="colour", corpus=None, window=128, n_contexts=200)
    assert result.corpus == "world"
    assert result.best_f1[0] > 0.5
    assert result.best_f1[0] > result.control_f1.max() + 0.2
    assert result.best_auc[0] > 0.95
    assert {piece.strip() for piece, _ in result.targets} <= set(ATTRIBUTES["colour"])
    made = contexts(m, "world", n_contexts=200)
    marks = target_tokens(made, label_spans("colour", made))
    wanted = truth(m, made, result, 0, marks)
    np.testing.assert_allclose(result.best_f1[0], wanted[2], rtol=1e-4)


@pytest.mark.parametrize("family", ["gpt2", "bert", "t5", "phi3"])
def test_every_kind_of_model_answers(tiny: Callable[[str], Path], family: str) -> None:
    m = api.load(tiny(family), device="cpu")
    result = fires(m, words=["cat"], k=3)
    assert result.f1.shape == (len(result.layers), m.d_mlp)
    assert len(result.to_frame()) == 3


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "say what to look for: words=, pattern= or label="),
        ({"words": ["cat"], "pattern": "cat"}, "one of the three"),
        ({"words": ["zebra"]}, "the word zebra is nowhere in pasted text"),
        ({"pattern": "Anna saw the dog"}, "too few places .*: 3, of which .* each half needs 3"),
        ({"pattern": "("}, "does not compile"),
        ({"pattern": "(a)(b)"}, "has 2 groups"),
        ({"label": "day"}, "carries no labels"),
        ({"words": ["cat"], "token": "middle"}, "token must be one of"),
        ({"words": ["cat"], "k": 0}, "k must be a whole number"),
        ({"pattern": "(?s:.+)", "token": "all"}, "is nearly every token"),
        ({"words": ["cat"], "layer": 7}, "has layers 0 to 2"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(
    llama: Loaded, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Error, match=sentence):
        fires(llama, **options)


def test_counts_that_would_fill_the_memory_are_refused(
    llama: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_COUNTS", 100)
    with pytest.raises(Error, match="choose some layers with layer="):
        fires(llama, words=["cat"])
