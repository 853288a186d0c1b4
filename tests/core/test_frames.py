"""Words of several tokens as frames, and texts decoded towards a concept."""

from typing import Any

import numpy as np
import pytest

from core import api
from core.analyses.head_nulls import untrained
from core.analyses.runs import Silent
from core.analyses.word_frames import (
    concept_words,
    correlation,
    full_rank,
    own_correlation,
    procrustes,
    rank,
    vectors,
)
from core.models.loaded import Loaded
from core.models.words import in_text
from core.spec.concept_set import ConceptSet, Group
from core.spec.errors import Error
from tests.core.planted_contrasts import learned

KINDS = ConceptSet(
    "kinds",
    "categories",
    (
        Group("metal", ("iron", "gold", "silver", "copper", "tin")),
        Group("day", ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")),
        Group("made", ("stegosaurus", "triceratops", "brontosaurus", "allosaurus")),
        Group("garment", ("hat", "shirt", "coat", "sock", "scarf", "dress", "glove")),
    ),
)


@pytest.fixture(scope="module")
def model() -> Loaded:
    return api.load("embedded", device="cpu")


def planted(rng: np.random.Generator, n: int = 20, d: int = 40, noise: float = 0.8) -> np.ndarray:
    """Frames [word, d, 3] of words of 1 to 3 tokens around one frame."""
    centre = rng.normal(size=(d, 3))
    frames = centre + noise * rng.normal(size=(n, d, 3))
    sizes = rng.integers(1, 4, n)
    frames[np.arange(3) >= sizes[:, None, None].repeat(d, axis=1)] = 0
    return frames / np.maximum(np.linalg.norm(frames, axis=1, keepdims=True), 1e-12)


def test_the_mean_frame_is_the_orthogonal_part_of_the_sum():
    rng = np.random.default_rng(0)
    total = rng.normal(size=(7, 3))
    left, _, right = np.linalg.svd(total, full_matrices=False)
    assert np.allclose(procrustes(total), left @ right)
    # No other frame of orthonormal columns lies nearer to the sum.
    best = np.trace(total.T @ procrustes(total))
    for _ in range(50):
        other = np.linalg.qr(rng.normal(size=(7, 3)))[0]
        assert np.trace(total.T @ other) <= best + 1e-9


def test_columns_without_support_stay_empty():
    rng = np.random.default_rng(0)
    total = np.zeros((9, 3))
    total[:, :2] = rng.normal(size=(9, 2))
    found = procrustes(total)
    assert np.allclose(found[:, 2], 0)
    assert np.allclose(found[:, :2].T @ found[:, :2], np.eye(2))
    assert rank(found) == 2
    single = procrustes(total * [1, 0, 0])
    assert np.allclose(single[:, 0], total[:, 0] / np.linalg.norm(total[:, 0]))


def test_a_frame_correlates_with_itself_and_rotations_change_nothing():
    rng = np.random.default_rng(0)
    frames = planted(rng)
    mean = procrustes(frames.sum(axis=0))[None]
    assert correlation(mean, mean)[0, 0] == pytest.approx(1)
    turned = np.linalg.qr(rng.normal(size=(40, 40)))[0]
    moved = np.einsum("ed,wdk->wek", turned, frames)
    assert np.allclose(own_correlation(moved), own_correlation(frames))
    assert np.allclose(own_correlation(frames[::-1]), own_correlation(frames)[::-1])


def test_planted_words_lie_near_their_concept_and_random_ones_do_not():
    rng = np.random.default_rng(0)
    own = own_correlation(planted(rng))
    random = own_correlation(planted(rng, noise=1e6))
    assert own.min() > 0.3
    assert abs(random.mean()) < 0.1


def test_a_word_is_left_out_of_its_own_concept():
    rng = np.random.default_rng(0)
    frames = planted(rng, n=6, noise=1e6)
    with_it = [correlation(one[None], procrustes(frames.sum(axis=0))[None])[0, 0] for one in frames]
    assert np.mean(with_it) > 0.2  # what leaving it in would have claimed
    assert abs(own_correlation(frames).mean()) < 0.15


def test_rank_tells_words_whose_tokens_repeat_each_other():
    rng = np.random.default_rng(0)
    frames = planted(rng, n=4)
    frames[0] = rng.normal(size=(40, 1))
    assert full_rank(frames)[0] == pytest.approx(1 / 3)
    assert (full_rank(frames)[1:] == 1).all()


def test_a_word_of_one_token_is_its_vector(model):
    basis = vectors(model, "causal", True, 3, lambda: None)
    found, dropped, _ = concept_words(model, KINDS, basis)
    gold = found[0]
    at = gold.words.index("gold")
    vector = basis.found.g(in_text(model, "gold"))[0]
    assert np.allclose(gold.frames[at][:, 0], vector / np.linalg.norm(vector))
    assert np.allclose(gold.frames[at][:, 1:], 0)
    long = [one for one in dropped if one[1] == "stegosaurus"]
    assert not long or "tokens; frames have at most 3" in long[0][2]


def test_learned_concepts_hold_their_words_and_fresh_weights_do_not(model):
    asked: dict[str, Any] = {"concepts": KINDS, "most_tokens": 6}
    trained = api.run("frames", model, **asked)
    names = list(trained.concepts)
    assert trained.auc[names.index("metal")] > 0.85
    assert trained.auc[names.index("day")] > 0.95
    assert trained.n_tokens.max() > 1
    fresh, _ = untrained(model, 0)
    assert fresh is not None
    before = api.run("frames", fresh, **asked)
    for name in ("metal", "day", "garment"):
        assert before.auc[list(before.concepts).index(name)] < 0.8
    assert before.own.mean() < 0.1 < trained.own.mean()


def test_two_halves_of_contrasts_are_told_apart_with_the_partner_left_out(model):
    found = api.run("frames", model, concepts=learned())
    assert found.concepts[:2] == ("gender: first", "gender: second")
    assert found.pair == ("gender: first", "gender: second")
    assert found.combined_auc[0] > 0.9
    assert found.combined_control.mean() < 0.7


def test_nested_concepts_are_alike_by_their_words_alone(model):
    words = KINDS.groups[0].items + KINDS.groups[1].items
    nested = ConceptSet("nested", "categories", (KINDS.groups[0], Group("both", words)))
    found = api.run("frames", model, concepts=nested)
    assert found.control_mean[0, 1] > 0.4
    # All words of the one are words of the other: none is left to be told apart.
    assert np.isnan(found.combined_auc).all()


def test_raw_vectors_and_lengths_as_they_are_give_other_numbers(model):
    plain = api.run("frames", model, concepts=KINDS)
    raw = api.run("frames", model, concepts=KINDS, inner="raw")
    long = api.run("frames", model, concepts=KINDS, unit=False)
    assert np.abs(plain.own).max() <= 1
    assert not np.allclose(plain.own, raw.own)
    assert long.own.max() > 2  # length of a whitened row is about the root of the width


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("frames", {"concepts": ["stegosaurus"]}, "no concept"),
        ("frames", {"concepts": ["dog", "dog"]}, "stands twice"),
        ("frames", {"concepts": KINDS, "inner": "strange"}, "inner="),
        ("frames", {"concepts": KINDS, "most_tokens": 0}, "most_tokens="),
        ("frames", {"concepts": KINDS, "against": "nothing"}, "no concept 'nothing'"),
        ("guided_decoding", {"concepts": KINDS, "concept": "nothing"}, "no concept 'nothing'"),
        ("guided_decoding", {"concepts": KINDS, "k": (0,)}, "k="),
        ("guided_decoding", {"concepts": KINDS, "k": ()}, "k="),
        ("guided_decoding", {"concepts": KINDS, "steps": 1_000}, "steps="),
        ("guided_decoding", {"concepts": KINDS, "read": "x"}, "read="),
    ],
)
def test_bad_input_is_a_sentence(model, name, options, said):
    with pytest.raises(Error, match=said):
        api.run(name, model, **options)


@pytest.fixture(scope="module")
def guided(model: Loaded) -> Any:
    return api.run(
        "guided_decoding", model, concepts=KINDS, concept="day", text="The word is", steps=10
    )


def test_one_candidate_is_greedy_decoding(model, guided):
    assert guided.k[0] == 1
    text = api.generate(model, "The word is", max_new_tokens=10)
    assert guided.texts[0] == text
    assert (guided.rank[0][guided.rank[0] >= 0] == 0).all()


def test_candidates_come_from_the_likeliest_and_stops_are_marked(guided):
    for k, ranks, tokens in zip(guided.k, guided.rank, guided.tokens, strict=True):
        n = len(tokens)
        assert (ranks[:n] < k).all()
        assert (ranks[n:] == -1).all()
    assert np.isfinite(guided.probe[:, 0]).all()


def test_the_guide_raises_what_it_reads_and_random_guides_raise_it_less(model):
    rises, beside = [], []
    for text in ("The word is", "Once upon a time", "They talk about", "We go there on"):
        one = api.run("guided_decoding", model, concepts=KINDS, concept="day", text=text, steps=10)
        own = one.final[[name == "concept" for name in one.guides]]
        rises.append(own[-1] - own[0])
        beside.append(own[-1] - np.nanmean(one.final[len(own) :]))
    assert np.mean(rises) > 0
    assert np.mean(beside) > 0


def test_the_probe_is_the_sum_over_windows_written_out(model, guided):
    """Windows of states with zero columns behind the end, correlated with the frame, summed."""
    from core.analyses.guided_decoding import _Decoder, _guide

    basis = vectors(model, "causal", True, 3, lambda: None)
    found, _, _ = concept_words(model, KINDS, basis)
    day = next(one for one in found if one.name == "day")
    frame = _guide([day.frames])
    rng = np.random.default_rng(0)
    states = rng.normal(size=(8, model.d_model))
    decoder = _Decoder(model, Silent(), basis, "whitened", frame, 5)
    padded = np.concatenate([states, np.zeros((2, model.d_model))])
    total = 0.0
    for start in range(5 - 2, 8):
        window = padded[start : start + 3].T
        total += correlation(window[None], frame[None])[0, 0]
    assert decoder._probe(states, frame) == pytest.approx(total)
