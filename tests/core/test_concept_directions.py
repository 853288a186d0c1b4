"""Contrasts as directions: planted ones are found apart, chance is chance, bad input is told."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.analyses.concept_directions import discoveries, measured
from core.analyses.head_nulls import untrained
from core.analyses.runs import Silent
from core.analyses.word_contrasts import Contrast, beside_chance, leave_one_out
from core.models.loaded import Loaded
from core.spec.concept_set import ConceptSet, Group
from core.spec.errors import Error
from tests.core.planted_contrasts import N_CONCEPTS, group, learned, planted, white


@pytest.fixture(scope="module")
def model() -> Loaded:
    return api.load("embedded", device="cpu")


@pytest.fixture(scope="module")
def found():
    place, contrasts = planted()
    return measured(place, contrasts, 10_000, 0, Silent())


def off_diagonal(cosine: np.ndarray, n: int = N_CONCEPTS) -> float:
    return float(np.abs(cosine[:n, :n][np.triu_indices(n, 1)]).mean())


def test_planted_concepts_are_independent_under_the_causal_product_alone(found):
    causal, euclidean, random = (off_diagonal(part) for part in found["cosine"])
    assert causal < 0.06
    assert euclidean > 0.3
    assert random > 0.3


def test_planted_concepts_hold_on_pairs_left_out_and_random_ones_do_not(found):
    assert (found["d_prime"][0, :N_CONCEPTS] > 3).all()
    assert (np.abs(found["d_prime"][:, N_CONCEPTS:]) < 2).all()
    assert (found["auc"][0, :N_CONCEPTS] > 0.95).all()
    assert np.abs(found["auc"][0, N_CONCEPTS:] - 0.5).max() < 0.25


def test_independent_concepts_are_marked_no_more_often_than_chance(found):
    n = len(found["cosine"][0])
    assert found["significant"][0].sum() / (n * (n - 1)) < 0.1


def test_causal_angles_do_not_change_under_any_linear_map_and_euclidean_ones_do():
    place, contrasts = planted()
    rng = np.random.default_rng(3)
    one, other = (np.linalg.qr(rng.normal(size=(256, 256)))[0] for _ in range(2))
    bent = one * np.geomspace(0.2, 5, 256) @ other
    rows, pool = place.rows @ bent, place.pool.numpy() @ bent
    other = replace(
        place, rows=rows, pool=torch.from_numpy(pool), white=white(np.concatenate([rows, pool]))
    )
    one = measured(place, contrasts[:4], 500, 0, Silent())
    two = measured(other, contrasts[:4], 500, 0, Silent())
    assert place.white.floored == other.white.floored == 0
    assert np.allclose(one["cosine"][0], two["cosine"][0], atol=1e-6)
    assert np.allclose(one["d_prime"][0], two["d_prime"][0], atol=1e-4)
    assert np.abs(one["cosine"][1] - two["cosine"][1]).max() > 0.05


def test_the_order_of_pairs_does_not_matter():
    place, contrasts = planted()
    mixed = [Contrast(one.name, one.first[::-1], one.second[::-1]) for one in contrasts[:3]]
    one = measured(place, contrasts[:3], 500, 0, Silent())
    two = measured(place, mixed, 500, 0, Silent())
    assert np.allclose(one["direction"], two["direction"])
    assert np.allclose(one["d_prime"][:, :3], two["d_prime"][:, :3])


def test_contrasts_of_the_same_words_are_not_taken_for_related():
    """a -> b and a -> c of random words: cosine one half by the shared words alone."""
    place, _ = planted()
    words = np.arange(90).reshape(3, 30)
    rows = place.random(np.random.default_rng(5), 90).numpy()
    first, second, third = (tuple(part.tolist()) for part in words)
    pair = [Contrast("one", first, second), Contrast("other", first, third)]
    found = measured(replace(place, rows=rows), pair, 500, 0, Silent())
    assert found["cosine"][0, 0, 1] > 0.35
    assert found["null_mean"][0, 0, 1] == pytest.approx(0.5, abs=0.05)
    assert not found["significant"][0, 0, 1]


def test_pairs_that_share_a_word_do_not_tell_on_each_other():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(31, 400))
    one = Contrast("to white", tuple(range(30)), (30,) * 30)
    apart = rows[30] - rows[:30]
    others, along = leave_one_out(one, apart)
    assert np.isnan(along).all()
    assert np.isnan(others).all()
    two = Contrast("white or red", tuple(range(28)), (28, 29) * 14)
    _, along = leave_one_out(two, rows[list(two.second)] - rows[:28])
    chance = rng.normal(size=5_000) * np.sqrt(2)
    assert abs(beside_chance(along, chance)[0]) < 0.7


def test_scores_of_pairs_are_what_a_loop_finds():
    rng = np.random.default_rng(0)
    apart = rng.normal(size=(6, 9)) + 1
    one = Contrast("six", tuple(range(6)), tuple(range(6, 12)))
    _, along = leave_one_out(one, apart)
    for pair in range(6):
        rest = np.delete(apart, pair, axis=0).sum(axis=0)
        assert along[pair] == pytest.approx(apart[pair] @ rest / np.linalg.norm(rest))
    chance = rng.normal(size=400)
    distance, auc, positive = beside_chance(along, chance)
    assert distance == pytest.approx((along.mean() - chance.mean()) / chance.std())
    assert auc == pytest.approx((along[:, None] > chance).mean())
    assert positive == (along > 0).mean()


def test_few_false_discoveries_among_chance_and_all_true_ones():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(40, 40))
    cosine = (noise + noise.T) / np.sqrt(2)
    nothing = discoveries(cosine, np.zeros((40, 40)), np.ones((40, 40)))
    assert nothing.sum() <= 4
    cosine[0, 1] = cosine[1, 0] = 8
    marked = discoveries(cosine, np.zeros((40, 40)), np.ones((40, 40)))
    assert marked[0, 1]
    assert not marked.diagonal().any()


def test_the_embedded_model_shows_its_contrasts_and_fresh_weights_do_not(model):
    trained = api.run("concept_directions", model, concepts=learned())
    n = len(trained.concepts)
    assert set(trained.concepts) == {"gender", "plural", "past", "comparative", "capital"}
    assert (trained.d_prime[0, :n] > 2.5).all()
    assert trained.d_prime[0, :n].min() > trained.d_prime[0, n:].max()
    assert trained.off_diagonal[0] < trained.off_diagonal[1]
    fresh, _ = untrained(model, 0)
    assert fresh is not None
    before = api.run("concept_directions", fresh, concepts=learned())
    assert np.abs(before.d_prime[0]).max() < 1.2
    assert not before.significant[0].any()


def test_contrasts_of_states_hold_at_a_layer_and_not_with_fresh_weights(model):
    asked = {"concepts": learned(), "layer": 3, "n_contexts": 48}
    trained = api.run("concept_directions", model, **asked)
    n = len(trained.concepts)
    assert trained.where == "L2.resid_post"
    assert trained.shrunk in (0.0, 0.1)
    assert np.median(trained.d_prime[0, :n]) > 2 > np.abs(trained.d_prime[0, n:]).max()
    # More of the words can be read: states need no whole tokens.
    assert trained.n_pairs.sum() > 120
    # What is added at the layer is the mean difference of the states there.
    assert np.allclose(np.linalg.norm(trained.vector, axis=1), 1, atol=1e-5)


def test_what_was_dropped_is_told_with_the_reason(model):
    pairs = group("gender", [("man", "woman"), ("king", "queen"), ("boy", "girl"),
                             ("stegosaurus", "hen")])  # fmt: skip
    alone = group("alone", [("stegosaurus", "hen"), ("cow", "triceratops")])
    found = api.run(
        "concept_directions", model, concepts=ConceptSet("two", "pairs", (pairs, alone))
    )
    assert found.concepts == ("gender",)
    assert ("man", "woman") in found.pairs
    name, first, _, why = found.dropped[0]
    assert (name, first) == ("gender", "stegosaurus")
    assert "tokens" in why
    assert found.left_out[0][0] == "alone"
    assert "fewer than 5 pairs" in found.warnings[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"concepts": ["dog", "cat"]}, "not pairs"),
        ({"concepts": [("dog", "dog")]}, "have to differ"),
        ({"concepts": [("stegosaurus", "triceratops"), ("qqq", "zzz")]}, "no contrast"),
        ({"concepts": [("man", "woman")]}, "no contrast"),
        ({"concepts": learned(), "layer": 9}, "0 .the embedding. to 6"),
        ({"concepts": learned(), "layer": True}, "0 .the embedding. to 6"),
        ({"concepts": learned(), "n_random": 3}, "n_random="),
        ({"concepts": []}, "no concepts"),
    ],
)
def test_bad_input_is_a_sentence(model, options, said):
    with pytest.raises(Error, match=said):
        api.run("concept_directions", model, **options)


PAIRS = [("cat", "dog"), ("king", "queen"), ("one", "two"), ("red", "blue"), ("rain", "sun")]


@pytest.mark.parametrize("family", ["bert", "t5", "gpt2", "gemma2"])
def test_every_family_has_contrasts_of_states_or_says_what_it_lacks(
    family: str, tiny: Callable[[str], Path]
) -> None:
    m = api.load(tiny(family), device="cpu")
    given = ConceptSet("few", "pairs", (group("few", PAIRS), Group("more", ("cat", "sun"),
                                                                 ("rain", "king"))))  # fmt: skip
    found = api.run("concept_directions", m, concepts=given, layer=1, n_contexts=4, n_random=200)
    assert np.isfinite(found.d_prime[0, 0])
    assert api.trace(m, "a cat", [found.site])[found.site].shape[-1] == found.vector.shape[1]
    if m.kind != "decoder":
        with pytest.raises(Error, match="no plain unembedding"):
            api.run("concept_directions", m, concepts=given)
