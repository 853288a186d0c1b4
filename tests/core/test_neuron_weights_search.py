"""Search: planted neurons are found, words are read as said, patterns cannot hang or surprise."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.corpus.patterns import matching
from core.engine.neuron_rows import neuron_rows
from core.engine.token_scores import vocabulary
from core.models.loaded import Loaded
from core.models.words import read_word, token_texts
from core.spec.errors import Error
from core.spec.query import Pattern, Word, listed, parse
from tests.core.copies import writable


@pytest.fixture(scope="module")
def embedded() -> Loaded:
    return api.load("embedded", device="cpu")


def z_of(m: Loaded, layer: int, weight: str = "out") -> np.ndarray:
    """z [neuron, token] by the plain way, float64."""
    words = vocabulary(m)
    scores = (neuron_rows(m, layer, weight).double() @ words.rows.double().T).numpy()
    return (scores - scores.mean(1, keepdims=True)) / scores.std(1, keepdims=True)


def plant(m: Loaded, layer: int, neuron: int, tokens: list[int], sign: float = 1.0) -> Loaded:
    """A copy whose neuron writes (or, with sign -1, lowers) some tokens as clearly as can be.

    In a trained model tokens resemble each other; the direction of the largest z is the mean
    row of the tokens, less the mean of all, behind the inverse covariance.
    """
    other, words = writable(m), vocabulary(m)
    target = words.matrix[tokens].mean(0) - words.mean
    column = sign * torch.linalg.solve(words.covariance, target)
    with torch.no_grad():
        other.stacks[""].blocks[layer].neurons.weight[:, neuron] = column
    return other


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_planted_neuron_is_the_first_find_with_its_sign(embedded: Loaded, sign: float) -> None:
    tokens = [i for (i,) in read_word(embedded, Word("dog")).readings]
    m = plant(embedded, 3, 200, tokens, sign)
    result = api.run("neuron_search", m, query="dog", k=5)
    assert result.sites()[0] == "L3.neuron[200]"
    assert np.sign(result.hit_score[0]) == sign
    assert abs(result.hit_score[0]) > result.chance[1]
    assert abs(result.hit_score[1]) < abs(result.hit_score[0])
    assert result.margin[0] > 0
    assert result.own_ids[0, 0] in tokens
    assert result.score[3, 200] == result.hit_score[0]


@pytest.mark.parametrize("weight", ["out", "in", "gate"])
def test_the_score_of_every_neuron_is_the_mean_over_words_of_the_best_reading(
    embedded: Loaded, weight: str
) -> None:
    result = api.run("neuron_search", embedded, query="dog, giraffe Monday", weight=weight, k=20)
    z = z_of(embedded, 2, weight)
    words = [read_word(embedded, Word(text)) for text in ("dog", "giraffe", "Monday")]
    top, bottom = (
        np.mean(
            [
                np.max([sign * z[:, list(reading)].mean(1) for reading in word.readings], axis=0)
                for word in words
            ],
            axis=0,
        )
        for sign in (1, -1)
    )
    wanted = np.where(top >= bottom, top, -bottom)
    np.testing.assert_allclose(result.score[2], wanted, atol=2e-3)
    order = np.abs(result.hit_score)
    assert (np.diff(order) <= 0).all()
    np.testing.assert_allclose(order[0], np.abs(result.score).max())


def test_a_pattern_is_the_mean_over_the_tokens_it_matches(embedded: Loaded) -> None:
    result = api.run("neuron_search", embedded, query="/ing$/", k=3)
    ids, texts = token_texts(embedded)
    wanted = [i for i, text in zip(ids, texts, strict=True) if text.endswith("ing")]
    np.testing.assert_array_equal(result.asked_ids, wanted)
    mean = z_of(embedded, 4)[:, wanted].mean(1)
    np.testing.assert_allclose(result.score[4], mean, atol=2e-3)
    assert result.notes == (
        f"/ing$/ matches {len(wanted)} of {len(ids):,} tokens; the score is their mean",
    )


def test_weekday_neurons_of_the_embedded_model_are_found_and_stand_above_chance(
    embedded: Loaded,
) -> None:
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]
    result = api.run("neuron_search", embedded, words=days, concept="weekdays", k=5)
    assert result.asked == "weekdays"
    assert abs(result.hit_score[0]) > 2 * result.chance[1]
    firsts = {piece.strip() for piece in result.read(result.own_ids[0])}
    assert len(firsts & {*days, "Saturday", "Sunday"}) >= 5


def test_chance_is_what_random_tokens_reach_read_the_same_way(embedded: Loaded) -> None:
    result = api.run("neuron_search", embedded, query="Monday", k=1)
    every = np.concatenate([np.abs(z_of(embedded, layer)) for layer in range(6)]).max(0)
    ids, _ = token_texts(embedded)
    low, high = np.quantile(every[list(ids)], [0.7, 1.0])
    assert low < result.chance[1] <= high
    assert result.chance[0] <= result.chance[1]
    again = api.run("neuron_search", embedded, query="Monday", k=1)
    assert again.chance == result.chance
    other = api.run("neuron_search", embedded, query="Monday", k=1, seed=1)
    assert other.chance != result.chance


@pytest.mark.parametrize(
    ("query", "note"),
    [
        ("dog", r"“dog” has 3 tokens, “ dog”, “ dogs”, “ Dog”; the best of them counts"),
        ("Monday", r"“Monday” is the token “ Monday”"),
        ('" dog"', r"“ dog” is the token “ dog”"),
        ('"dog"', r"“dog” is not a token in this very form; read as “ dog”"),
        ("giraffe", r"no token of its own: mean over its pieces “ g”, “ir”, “aff”, “e”"),
        ("日", r"no token of its own: mean over its pieces “<0xE6>”"),
    ],
)
def test_it_says_how_each_word_was_read(embedded: Loaded, query: str, note: str) -> None:
    (said,) = api.run("neuron_search", embedded, query=query, k=1).notes
    assert note in said


@pytest.mark.parametrize(
    "name", ["gpt2", "roberta", "bert", "t5", "gemma", "cohere", "mpt", "opt", "bloom", "falcon"]
)
def test_words_are_found_in_every_kind_of_vocabulary(
    name: str, tiny: Callable[[str], Path]
) -> None:
    loaded = api.load(tiny(name), device="cpu")
    _, texts = token_texts(loaded)
    (found,) = {len(each) for each in read_word(loaded, Word("the")).readings}
    assert found == 1
    assert {text.strip() for text in texts} >= {"the"}
    split = read_word(loaded, Word("qqq")).readings
    assert max(map(len, split)) > 1


def test_word_and_pattern_queries_are_told_apart() -> None:
    assert parse("dog") == (Word("dog"),)
    assert parse(" dog, cat;horse dog") == (Word("dog"), Word("cat"), Word("horse"))
    assert parse('" a b" don\'t') == (Word(" a b", exact=True), Word("don't"))
    assert parse("“ x”") == (Word(" x", exact=True),)
    assert parse("/^a b$/i") == Pattern("^a b$", ignore_case=True)
    assert parse("/a/b/") == Pattern("a/b")
    assert parse("and/or") == (Word("and/or"),)
    assert listed(["New York", " cat "]) == (Word("New York"), Word("cat"))


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "the search is empty"),
        ("   ,", "the search is empty"),
        ('"dog', "opened and not closed"),
        ("w" * 2_001, "at most 2,000"),
        (" ".join(f"w{i}" for i in range(101)), "at most 100 at a time"),
        ("//", "the pattern is empty"),
        ("/(/", "does not compile"),
        ("/(?=dog)/", "look-around"),
        ("/a{1001}/", "does not compile"),
        (f"/{'a' * 201}/", "at most 200"),
        ("/qqqqq/", "no token of embedded matches /qqqqq/"),
        ("\ud800", None),
    ],
)
def test_what_cannot_be_searched_is_one_sentence(
    embedded: Loaded, query: str, sentence: str | None
) -> None:
    if sentence is None:  # half of a character pair is read as the sign that replaces it
        assert len(api.run("neuron_search", embedded, query=query, k=1).layer) == 1
        return
    with pytest.raises(Error, match=sentence):
        api.run("neuron_search", embedded, query=query)


def test_other_bad_questions_are_refused(embedded: Loaded, gpt2: Loaded) -> None:
    for m, options, sentence in (
        (embedded, {"query": "dog", "k": 0}, "from 1 to 1,000"),
        (embedded, {"query": "dog", "words": ["cat"]}, "not for both at once"),
        (embedded, {"words": "dog"}, "words are a list of texts"),
        (embedded, {"words": ["dog", 3]}, "words are a list of texts"),
        (gpt2, {"query": "the", "weight": "gate"}, "has no gate"),
    ):
        with pytest.raises(Error, match=sentence):
            api.run("neuron_search", m, **options)


@pytest.mark.parametrize(
    "pattern", [r"(a|aa)+$", r"((a+)+)+$", r"(a*)*b", r"(\w|\w\w)*!", r"(.*)(.*)(.*)(.*)x"]
)
def test_patterns_that_hang_other_engines_answer_at_once(pattern: str) -> None:
    texts = ["a" * 200] * 20_000
    began = time.perf_counter()
    matching(pattern, texts)
    assert time.perf_counter() - began < 10  # a backtracking engine needs longer than the sun


@pytest.mark.parametrize("pattern", [r"(((a{500}){500}){500})", r"[\x{0}-\x{10ffff}]{1000}{9}"])
def test_patterns_that_need_much_memory_are_refused(pattern: str) -> None:
    with pytest.raises(Error, match="does not compile"):
        matching(pattern, ["a"])


def test_a_pattern_sees_tokens_with_and_without_the_blank_in_front(embedded: Loaded) -> None:
    exact = api.run("neuron_search", embedded, query="/^dog$/", k=1)
    behind = api.run("neuron_search", embedded, query="/^ dog$/", k=1)
    assert set(behind.asked_ids) <= set(exact.asked_ids)
    assert exact.read(exact.asked_ids) == (" dog",)
