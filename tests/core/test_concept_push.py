"""Pushing a contrast: on paper it is exact, the run follows, random pushes do neither."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core import api
from core.analyses.pushed_contexts import behind_norm, states_of
from core.analyses.runs import Silent
from core.analyses.whitening import unembedding
from core.corpus.world.words import GENDER_PAIRS
from core.engine.readout import direct_effect, unembed
from core.models.loaded import Loaded
from core.models.tokens import encode, pieces
from core.models.words import in_text
from core.results.concept_push import ConceptPush
from core.spec.concept_set import ConceptSet, Group
from core.spec.errors import Error
from tests.core.planted_contrasts import group, learned

PROMPTS = ("Once upon a time there was a", "The word is", "They talk about the")
ASKED: dict[str, Any] = {
    "concepts": learned(), "concept": "gender", "against": "past", "prompts": PROMPTS,
    "n_contexts": 64,
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Loaded:
    return api.load("embedded", device="cpu")


@pytest.fixture(scope="module")
def found(model: Loaded) -> ConceptPush:
    return api.run("concept_push", model, **ASKED)


def log_odds(m: Loaded, logits: np.ndarray, found: ConceptPush, concept: int) -> np.ndarray:
    """Mean over the kept pairs of a contrast, of logits [..., d_vocab]."""
    numbers = np.repeat(np.arange(len(found.concepts)), found.n_pairs)
    own = [found.pairs[at] for at in np.flatnonzero(numbers == concept)]
    first, second = ([in_text(m, word)[0] for word in half] for half in zip(*own, strict=True))
    found_: np.ndarray = (logits[..., second] - logits[..., first]).mean(axis=-1)
    return found_


def test_a_nat_on_paper_is_a_nat_of_the_own_pairs(found):
    assert np.allclose(np.diag(found.effect), 1, atol=1e-5)
    off = found.effect[~np.eye(len(found.effect), dtype=bool)]
    assert np.abs(off).mean() < 0.15
    assert ((found.held_out > 0.3) & (found.held_out < 1)).all()


def test_the_map_of_effects_is_the_angles_scaled_by_the_lengths(found):
    """effect[w, z] = cos(w, z) |mean of z| / |mean of w|: so effect * its transpose = cos²."""
    assert np.allclose(found.effect * found.effect.T, found.cosine**2, atol=1e-5)
    assert np.allclose(found.correlation, found.cosine, atol=1e-4)


def test_the_run_at_the_last_layer_does_what_was_computed_and_random_pushes_do_not(found):
    n = len(found.concepts)
    run, chance = found.run_effect.mean(axis=0), found.run_control.mean(axis=0)
    assert np.allclose(np.diag(run), 1, atol=0.15)
    off = ~np.eye(n, dtype=bool)
    assert np.corrcoef(run[off], found.effect[off])[0, 1] > 0.9
    assert np.abs(np.diag(chance)).mean() < 0.35
    assert np.abs(found.control_effect).mean() < 0.35


def test_a_push_in_the_run_is_what_adding_the_vector_by_hand_does(model, found):
    """`change` is what goes to the clamps: its push is that of the mean prompt."""
    concept = found.concepts.index("gender")
    change = found.change(concept, 2.0)
    assert str(change.site) == found.site == "L5.resid_post"
    moved = []
    for prompt in PROMPTS:
        before = api.logits(model, prompt)[-1]
        after = api.logits(model, prompt, interventions=[change])[-1]
        moved.append(
            log_odds(model, after, found, concept) - log_odds(model, before, found, concept)
        )
    assert np.mean(moved) == pytest.approx(2, rel=0.25)


def test_top_tokens_without_a_push_are_the_models_own_and_a_push_raises_the_second_halves(
    model, found
):
    for number, prompt in enumerate(PROMPTS):
        logits = torch.tensor(api.logits(model, prompt)[-1]).double()
        share, ids = torch.softmax(logits, -1).topk(3)
        for kind in ("", "run_", "control_"):
            assert np.allclose(
                getattr(found, f"{kind}probability")[number, 0, :3], share, atol=1e-4
            )
            assert getattr(found, f"{kind}top")[number][0][:3] == pieces(model, ids.tolist())
    numbers = np.repeat(np.arange(len(found.concepts)), found.n_pairs)
    women = {found.pairs[at][1] for at in np.flatnonzero(numbers == found.concept)}
    pushed = [token.strip() for prompt in found.top for token in prompt[-1]]
    clean = [token.strip() for prompt in found.top for token in prompt[0]]
    assert sum(token in women for token in pushed) > sum(token in women for token in clean)


def test_the_linear_answer_is_that_of_the_models_own_head(model, found):
    """The state behind the final norm moved by hand, read by the head, shifts by t nats."""
    concept = found.concept
    state = states_of(model, [encode(model, PROMPTS[0])], Silent())
    behind = torch.from_numpy(behind_norm(model, state)).float()
    white = unembedding(model).white
    numbers = np.repeat(np.arange(len(found.concepts)), found.n_pairs)
    own = [found.pairs[at] for at in np.flatnonzero(numbers == concept)]
    first, second = ([in_text(model, word)[0] for word in half] for half in zip(*own, strict=True))
    g = unembedding(model).g
    mean = (g(second) - g(first)).mean(axis=0)
    shift = mean / (mean @ mean) @ white.inverse  # one nat
    with model.busy():
        before = model.head(behind).double().numpy()[0]
        after = model.head(behind + 3 * torch.from_numpy(shift).float()).double().numpy()[0]
        whole = unembed(model, state).double().numpy()[0]
    assert np.allclose(before, whole, atol=1e-3)
    change = log_odds(model, after, found, concept) - log_odds(model, before, found, concept)
    assert change == pytest.approx(3, abs=1e-3)
    for step, nats in enumerate(found.steps):
        logits = before + nats * (after - before) / 3
        share = np.exp(logits - logits.max())
        assert np.sort(share / share.sum())[::-1][0] == pytest.approx(
            found.probability[0, step, 0], abs=1e-3
        )


def test_contexts_are_told_apart_by_their_own_contrast(found):
    own = np.diag(found.auc[:, : len(found.concepts)])
    known = np.isfinite(own)
    assert known.sum() >= 2
    assert np.nanmean(own) > 0.75
    others = found.auc[~np.eye(len(found.auc), dtype=bool)]
    assert abs(np.nanmean(others) - 0.5) < 0.15


def test_texts_of_ones_own_are_measured_too(model):
    men, women = zip(*GENDER_PAIRS[:8], strict=True)
    texts = [f"The word for a male {word} is" for word in women]
    texts += [f"The word for a female {word} is" for word in men]
    found = api.run("concept_push", model, **ASKED, texts=texts, sides=["he"] * 8 + ["she"] * 8)
    assert found.groups[-1] == "own texts"
    assert found.sides[-1] == ("he", "she")
    assert found.n_contexts[-1].tolist() == [8, 8]
    assert found.auc[-1, found.concepts.index("gender")] > 0.8


def test_a_second_question_reads_the_text_no_second_time(model, found, monkeypatch):
    monkeypatch.setattr("core.analyses.pushed_contexts._read", None)
    again = api.run("concept_push", model, **{**ASKED, "concept": "past", "against": "gender"})
    assert np.array_equal(again.measured, found.measured, equal_nan=True)
    assert again.concepts[again.concept] == "past"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"concept": "nothing"}, "no contrast 'nothing'"),
        ({"layer": 6}, "0 to 5"),
        ({"steps": (1, 1e9)}, "at most"),
        ({"steps": ("far",)}, "numbers of nats"),
        ({"run_nats": 0}, "0 would push nothing"),
        ({"prompts": ()}, "0 prompts"),
        ({"prompts": ("a", 5)}, "a prompt is a text"),
        ({"texts": ["a", "b"], "sides": ["x"]}, "2 texts and 1 sides"),
        ({"texts": ["a", "b"], "sides": ["x", "x"]}, "1 sides"),
    ],
)
def test_bad_input_is_a_sentence(model, options, said):
    with pytest.raises(Error, match=said):
        api.run("concept_push", model, **{**ASKED, **options})


FEW = ConceptSet(
    "few",
    "pairs",
    (
        group("few", [("cat", "A"), ("B", "C"), ("D", "E"), ("F", "G"), ("H", "I")]),
        Group("more", ("J", "K", "L"), ("M", "N", "O")),
    ),
)


DECODERS = ["gpt2", "gemma2", "llama", "gpt_neox", "opt", "cohere", "phi", "falcon"]


@pytest.mark.parametrize("family", DECODERS)
def test_a_push_moves_the_own_pairs_by_a_nat_where_the_final_norm_is_held(
    family: str, tiny: Callable[[str], Path]
) -> None:
    """Norms with and without a mean, weights stored minus one, biases, scaled and capped logits."""
    m = api.load(tiny(family), device="cpu")
    prompt = "a cat and a"
    found = api.run("concept_push", m, concepts=FEW, prompts=(prompt,), run_nats=0.5, n_contexts=4)
    state = states_of(m, [encode(m, prompt)], Silent())
    push = torch.tensor(found.vector * found.coefficient[:, None]) * 0.5
    with m.busy():
        held = direct_effect(m, state.expand(2, -1), push).double().numpy()
        before = unembed(m, state).double().numpy()[0]
        after = unembed(m, state + push).double().numpy()
    for pushed in range(2):
        if not found.notes:
            assert log_odds(m, held[pushed], found, pushed) == pytest.approx(0.5, abs=2e-3)
        for measured in range(2):
            moved = log_odds(m, after[pushed] - before, found, measured)
            assert found.run_effect[0, pushed, measured] == pytest.approx(moved / 0.5, abs=2e-3)
    if found.notes:
        assert "cap" in found.notes[0]


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_a_model_without_a_plain_unembedding_says_so(
    family: str, tiny: Callable[[str], Path]
) -> None:
    m = api.load(tiny(family), device="cpu")
    for name, options in (
        ("concept_push", {"concepts": FEW}),
        ("frames", {"concepts": FEW}),
        ("guided_decoding", {"concepts": FEW}),
    ):
        with pytest.raises(Error, match="no plain unembedding"):
            api.run(name, m, **options)
