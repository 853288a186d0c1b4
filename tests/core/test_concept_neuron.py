"""Concept neurons against planted truth; how alike two answers are against counts by hand."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core import api
from core.analyses.likeness import bleu, rouge_l
from core.corpus.concept_vectors import TEMPLATE, read_concept_vectors
from core.models.loaded import Loaded
from core.results.concept_neuron import ConceptNeuron
from tests.core.planted_words import planted, words

PLANTED = "L1.neuron[9]"


@pytest.fixture(scope="module")
def planted_model(llama: Loaded) -> tuple[Loaded, list[str], list[str], str]:
    """(model, words the neuron fires on, other words, the word it writes)."""
    known = words(llama, 30)
    read, other, (write, default) = known[:6], known[6:12], known[20:22]
    return planted(llama, [(1, 9)], read, [write], 3.0, default), read, other, write


def ask(model: tuple[Loaded, list[str], list[str], str], **options: object) -> ConceptNeuron:
    m, read, other, write = model
    asked = {
        "words": [write],
        "questions": [f"the {word}" for word in read],
        "controls": [f"the {word}" for word in other],
        "new_tokens": 1,
        "n_random": 10,
    }
    found = api.run("concept_neuron", m, **{**asked, **options})
    assert isinstance(found, ConceptNeuron)
    return found


def test_the_planted_neuron_is_found_by_what_it_writes_and_confirmed(planted_model) -> None:
    result = ask(planted_model)
    assert result.sites[0] == PLANTED
    assert result.verdict[0] == "specific"
    assert result.score[0] > result.chance[1]
    assert result.low[0] > 10
    assert result.writes[0][0].strip() == planted_model[3]
    on = result.on_concept
    assert {result.answers[n] for n in np.flatnonzero(on)} == {planted_model[3]}
    assert result.rouge[0][:, ~on].min() == 1.0
    loud = ask(planted_model, noise=20.0)
    assert loud.rouge[0][:, on].mean() < 0.7
    assert loud.rouge[0][:, ~on].min() == 1.0
    assert loud.bleu[0][:, on].mean() < 0.7


def test_random_neurons_change_no_answer_as_much(planted_model) -> None:
    result = ask(planted_model)
    n = len(result.sites)
    assert len(result.control_sites) == 10
    assert not set(result.control_sites) & set(result.sites)
    assert np.abs(result.rise[n:, 0]).max() < 0.25 * result.rise[0, 0]


def test_a_neuron_that_has_nothing_to_do_with_it_is_refuted(planted_model) -> None:
    result = ask(planted_model, at="L1.neuron[10]")
    assert result.sites == ("L1.neuron[10]",)
    assert result.verdict == ("no more than random neurons",)


def test_a_neuron_that_fires_on_everything_is_not_called_specific(planted_model) -> None:
    m, read, other, write = planted_model
    both = [f"the {word}" for word in (*read, *other)]
    result = ask((m, read, other, write), questions=both[::2], controls=both[1::2], at=PLANTED)
    assert result.verdict == ("not specific",)


def test_the_noise_is_as_large_as_asked(planted_model) -> None:
    relative, absolute = ask(planted_model, noise=2.0), ask(planted_model, sigma=0.1)
    assert (relative.noise, relative.sigma) == (2.0, 0.0)
    assert (absolute.noise, absolute.sigma) == (0.0, 0.1)
    np.testing.assert_allclose(absolute.deviation, 0.1, rtol=0.3)
    strength = 3.0 / np.sqrt(planted_model[0].d_model)  # one entry of 3, the rest 0
    assert relative.deviation[0] == pytest.approx(2 * strength, rel=0.3)


def test_no_weight_is_touched(planted_model) -> None:
    m = planted_model[0]
    before = api.logits(m, "the cat")
    ask(planted_model)
    np.testing.assert_array_equal(api.logits(m, "the cat"), before)


@pytest.mark.parametrize("family", ["gpt2", "opt", "bloom", "gemma2", "phi3", "olmo2"])
def test_every_kind_of_decoder_is_tested(family: str, tiny: Callable[[str], Path]) -> None:
    m = api.load(tiny(family), device="cpu")
    result = api.run(
        "concept_neuron",
        m,
        words=["cat", "dog"],
        questions=["the cat", "a dog", "the red cat"],
        controls=["In Paris", "the sun", "two, three"],
        draws=2,
        n_random=2,
        candidates=2,
        new_tokens=3,
    )
    assert np.isfinite(result.loss).all()
    assert np.abs(result.loss).max() > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"concept": "quarks"}, "no words are known"),
        ({"words": ["dog"]}, "are empty"),
        ({"words": ["dog"], "questions": ["a"], "controls": ["b"] * 3}, "at least 3"),
        ({"concept": "capitals", "template": "no"}, "exactly once"),
        ({"concept": "capitals", "noise": 0}, "above 0"),
        ({"concept": "capitals", "draws": 100}, "at most"),
        ({"concept": "capitals", "at": "L1.head[0]"}, "no single neuron"),
        ({"concept": "capitals", "questions": ["x"] * 500}, "at most"),
    ],
)
def test_bad_input_is_one_sentence(stories: Loaded, options: dict, said: str) -> None:
    with pytest.raises(api.Error, match=said):
        api.run("concept_neuron", stories, **options)


@pytest.mark.parametrize(("family", "said"), [("bert", "next token"), ("mixtral", "experts")])
def test_models_that_cannot_be_tested_say_so(
    family: str, said: str, tiny: Callable[[str], Path]
) -> None:
    m = api.load(tiny(family), device="cpu")
    with pytest.raises(api.Error, match=said):
        api.run("concept_neuron", m, concept="capitals")


# --- answers -------------------------------------------------------------------------------


def test_rouge_l_counts_the_longest_common_subsequence() -> None:
    assert rouge_l([1, 2, 3, 4], [1, 2, 3, 4]) == 1.0
    assert rouge_l([1, 2, 3, 4], [1, 9, 3]) == pytest.approx(2 * 2 / 7)
    assert rouge_l([4, 3, 2, 1], [1, 2, 3, 4]) == pytest.approx(2 / 8)
    assert rouge_l([], []) == 1.0
    assert rouge_l([], [1]) == 0.0


def test_bleu_counts_grams_and_punishes_short_answers() -> None:
    assert bleu([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]) == pytest.approx(1.0)
    # unigrams 2/2, bigrams (1 + 1) / (1 + 1); half as long: exp(1 - 4/2)
    assert bleu([1, 2], [1, 2, 3, 4]) == pytest.approx(np.exp(-1))
    # unigrams 3/4, bigrams (1 + 1) / (3 + 1), trigrams (0 + 1) / (2 + 1), 4-grams (0 + 1) / (1 + 1)
    wanted = (3 / 4 * 2 / 4 * 1 / 3 * 1 / 2) ** 0.25
    assert bleu([1, 2, 9, 4], [1, 2, 3, 4]) == pytest.approx(wanted)
    assert bleu([7, 8], [1, 2]) == 0.0


# --- ConceptVectors files ------------------------------------------------------------------

PUBLISHED = {
    "Concept": "Poland", "Layer": 23, "Dim": 743,
    "QA": [" What is the capital city of Poland?\n"], "unrelated_QA": ["Who wrote it?"],
}  # fmt: skip
LINE = {
    "model": "meta-llama/Llama-2-7b-hf", "concept": "Poland", "layer": 23, "neuron": 743,
    "questions": ["What is the capital city of Poland?"], "control_questions": ["Who wrote it?"],
}  # fmt: skip


@pytest.mark.parametrize("text", [json.dumps([PUBLISHED]), json.dumps(LINE) + "\n\n"])
def test_both_forms_of_the_files_are_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(text)
    (found,) = read_concept_vectors(tmp_path / "file")
    assert found.options() == {
        "concept": "Poland",
        "words": ("Poland",),
        "at": "L23.neuron[743]",
        "questions": ("What is the capital city of Poland?",),
        "controls": ("Who wrote it?",),
        "template": TEMPLATE,
    }


@pytest.mark.parametrize("text", ["{", "[1]", '[{"Concept": "x"}]', "\x00", '[{"Concept": 1}'])
def test_a_file_of_another_kind_is_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(api.Error):
        read_concept_vectors(tmp_path / "file")
    with pytest.raises(api.Error, match="no file"):
        read_concept_vectors(tmp_path / "other")
