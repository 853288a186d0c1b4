"""What heads look at: planted heads, figures measured before, sums over patterns, bad input."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.analyses.head_kinds import class_kinds, target_kinds
from core.analyses.head_nulls import untrained
from core.analyses.head_texts import HeadTexts, ordinary_ids, repeated
from core.engine.rows import rows
from core.figures import heads as drawing
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.heads import KINDS, LEAST_QUERIES, MASSES, ROLE_NAMES, ROLES, Heads
from core.results.packed import pack, unpack
from kernels.head_stats import Runs
from tests import planted_heads

TEXT = "Once upon a time, there was a little girl named Lily. Lily had a big red ball."


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def planted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Loaded, tuple[int, int], tuple[int, int]]:
    """(model, where the previous-token head is, where the induction head is)."""
    folder = tmp_path_factory.mktemp("planted") / request.param
    if request.param == "gpt2":
        made = planted_heads.gpt2(folder)
        return api.load(made, device="cpu"), (0, 0), (1, 0)
    made = planted_heads.llama(folder)
    return api.load(made, device="cpu"), planted_heads.LLAMA_PREVIOUS, planted_heads.LLAMA_INDUCTION


@pytest.fixture(scope="module")
def of_stories(stories: Loaded) -> Heads:
    return api.run("heads", stories)


def others(scores: np.ndarray, at: tuple[int, int]) -> np.ndarray:
    mask = np.ones(scores.shape, dtype=bool)
    mask[at] = False
    return scores[mask]


def test_planted_heads_are_found_by_a_wide_margin_and_their_controls_are_low(
    planted: tuple[Loaded, tuple[int, int], tuple[int, int]],
) -> None:
    m, previous, induction = planted
    texts = [planted_heads.repeated_text(seed=seed) for seed in range(12)]
    result = api.run("heads", m, texts=texts)
    for kind, at, least in (("previous_token", previous, 0.999), ("induction", induction, 0.999)):
        assert result.scores[kind][at] > least
        assert others(result.scores[kind], at).max() < 0.1
        for control in (result.control, result.uniform, result.untrained):
            assert control[kind].max() < 0.12
        assert np.unravel_index(result.scores[kind].argmax(), (2, 4)) == at
    assert ROLE_NAMES[result.role[previous]] == "previous token"
    assert ROLE_NAMES[result.role[induction]] == "induction"
    # Uniform attention over 1 to 41 keys looks back with 0.083, and every other head is noise.
    assert result.uniform["previous_token"].max() == pytest.approx(0.0826, abs=1e-3)


def test_without_a_text_planted_heads_are_found_on_repeated_random_tokens(
    planted: tuple[Loaded, tuple[int, int], tuple[int, int]],
) -> None:
    m, previous, induction = planted
    result = api.run("heads", m, nulls=False)
    for kind in ("induction", "induction_stripe"):
        assert result.scores[kind][induction] > 0.99
        assert others(result.scores[kind], induction).max() < 0.05
    assert result.scores["previous_token"][previous] > 0.99
    assert result.behaviour["loss_first"] > 4
    assert result.behaviour["loss_second"] < 1
    assert result.behaviour["accuracy_second"] > 0.9
    assert result.behaviour["accuracy_first"] < 0.1


def test_heads_of_a_model_trained_elsewhere_score_what_was_measured_before(
    of_stories: Heads,
) -> None:
    # stories260K, seed 0, 64 rows: measured for the specification with plain PyTorch.
    found = of_stories.scores["previous_token"]
    known = {(3, 6): 0.746, (1, 3): 0.630, (1, 6): 0.512, (2, 0): 0.464, (1, 5): 0.463}
    for at, score in known.items():
        assert found[at] == pytest.approx(score, abs=1e-3)
    assert of_stories.scores["induction_stripe"].max() == pytest.approx(0.015, abs=1e-3)
    assert of_stories.scores["induction_stripe"].mean() == pytest.approx(0.005, abs=1e-3)
    assert of_stories.behaviour["loss_first"] == pytest.approx(12.05, abs=0.01)
    assert of_stories.behaviour["loss_second"] == pytest.approx(11.72, abs=0.01)


def test_a_model_without_induction_heads_has_none_named(of_stories: Heads) -> None:
    names = {ROLE_NAMES[code] for code in of_stories.role.ravel()}
    assert "induction" not in names
    assert "previous token" in names


def test_the_embedded_model_shows_its_induction_and_previous_token_heads() -> None:
    result = api.run("heads", api.load("embedded"), n_sequences=16)
    at = np.unravel_index(result.scores["induction_stripe"].argmax(), result.role.shape)
    before = np.unravel_index(result.scores["previous_token"].argmax(), result.role.shape)
    assert result.scores["induction_stripe"][at] > 0.5
    assert result.control["induction_stripe"].max() < 0.05
    assert result.untrained["induction_stripe"].max() < 0.05
    assert ROLE_NAMES[result.role[at]] == "induction"
    assert before[0] < at[0]  # what an induction head reads was written below it
    assert result.scores["previous_token"][before] > 0.8
    assert result.scores["prefix_matching"].max() > 0.5
    assert result.behaviour["gain"] > 3


def test_scores_of_a_text_are_sums_over_its_patterns(stories: Loaded) -> None:
    result = api.run("heads", stories, text=TEXT, nulls=False)
    ids = [int(i) for i in stories.tokenizer(TEXT)["input_ids"]]
    pattern = np.stack(
        [api.trace(stories, TEXT, [f"L{n}.pattern"])[f"L{n}.pattern"] for n in range(5)]
    )
    n = len(ids)
    maps = {kind: np.zeros((n, n)) for kind in ("previous_token", "duplicate_token", "induction")}
    for q in range(n):
        for k in range(q + 1):
            maps["previous_token"][q, k] = k == q - 1
            maps["duplicate_token"][q, k] = k < q and ids[k] == ids[q]
            maps["induction"][q, k] = k >= 1 and ids[k - 1] == ids[q]
    for kind, targets in maps.items():
        queries = int((targets.sum(1) > 0).sum())
        wanted = (pattern * targets).sum((2, 3)) / queries
        np.testing.assert_allclose(result.scores[kind], wanted, atol=1e-5)
        assert result.n_queries[kind] == queries
        wanted = (pattern * targets).sum((2, 3)) / n
        np.testing.assert_allclose(result.transformer_lens[kind], wanted, atol=1e-5)
    entropy = -(pattern * np.log(np.maximum(pattern, 1e-30))).sum(-1)[..., 1:]
    share = (entropy / np.log(np.arange(2, n + 1))).mean(-1)
    np.testing.assert_allclose(result.scores["entropy"], share, atol=1e-4)
    np.testing.assert_allclose(
        result.scores["strongest"], pattern.max(-1)[..., 1:].mean(-1), atol=1e-5
    )
    back = np.arange(n)[:, None] - np.arange(n)
    np.testing.assert_allclose(
        result.scores["distance"], (pattern * back).sum(-1)[..., 8:].mean(-1), atol=1e-3
    )
    local = (pattern * ((back >= 0) & (back <= 8))).sum(-1)[..., 8:].mean(-1)
    np.testing.assert_allclose(result.scores["local"], local, atol=1e-4)
    stops = np.isin(ids, stories.tokenizer.convert_tokens_to_ids([".", ","]))
    found = (pattern[..., stops].sum(-1))[..., 1:].mean(-1)
    np.testing.assert_allclose(result.scores["punctuation"], found, atol=1e-5)
    for lag in (1, 3):
        np.testing.assert_allclose(
            result.lag[..., lag], pattern.diagonal(-lag, 2, 3).mean(-1), atol=1e-5
        )


def test_without_the_first_token_the_rest_of_a_pattern_is_scaled_up(stories: Loaded) -> None:
    result = api.run("heads", stories, text=TEXT, nulls=False, reading="without_first")
    pattern = api.trace(stories, TEXT, ["L2.pattern"])["L2.pattern"].copy()
    pattern[:, 1:, 0] = 0
    pattern /= pattern.sum(-1, keepdims=True)
    wanted = pattern.diagonal(-1, 1, 2).mean(-1)
    np.testing.assert_allclose(result.scores["previous_token"][2], wanted, atol=1e-4)
    assert result.scores["first_token"].max() == 0


def test_attention_weighed_by_values_is_weight_times_what_is_written(stories: Loaded) -> None:
    """The value that each key would give alone, from the model's own weights."""
    result = api.run("heads", stories, text=TEXT, nulls=False, reading="by_value")
    seen = api.trace(stories, TEXT, ["L2.pattern", "L2.resid_pre"])
    block = stories.stacks[""].blocks[2]
    attn, norm = block.whole.self_attn, block.norm_attn
    with torch.no_grad():
        value = attn.v_proj(norm(torch.tensor(seen["L2.resid_pre"])))  # type: ignore[misc, operator]
        value = value.reshape(len(value), -1, stories.d_head).repeat_interleave(2, dim=1)
        out = attn.o_proj.weight.T.reshape(stories.n_heads, stories.d_head, -1)  # type: ignore[union-attr, operator]
        size = torch.einsum("khe,hed->khd", value, out).norm(dim=-1).T.numpy()  # [head, key]
    weighed = seen["L2.pattern"] * size[:, None]
    weighed /= weighed.sum(-1, keepdims=True)
    wanted = weighed.diagonal(-1, 1, 2).mean(-1)
    np.testing.assert_allclose(result.scores["previous_token"][2], wanted, atol=1e-4)
    plain = seen["L2.pattern"].diagonal(-1, 1, 2).mean(-1)
    assert np.abs(result.scores["previous_token"][2] - plain).max() > 1e-3


def test_rows_padded_beside_longer_ones_change_nothing(stories: Loaded) -> None:
    texts = [TEXT, "Lily and Tom.", TEXT[:40]]
    together = api.run("heads", stories, texts=texts, nulls=False)
    alone = [api.run("heads", stories, text=text, nulls=False) for text in texts]
    for kind in ("previous_token", "punctuation", "entropy", "uneven", "local"):
        n = [one.n_queries.get(kind, 0) for one in alone]
        parts = (one.scores[kind] * k for one, k in zip(alone, n, strict=True) if k)
        np.testing.assert_allclose(together.scores[kind], sum(parts) / sum(n), atol=1e-5)
        assert together.n_queries[kind] == sum(n)


def test_the_same_seed_gives_the_same_numbers_and_another_one_other_texts(stories: Loaded) -> None:
    one, same, other = (
        api.run("heads", stories, n_sequences=4, nulls=False, seed=seed) for seed in (1, 1, 2)
    )
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(array, same.arrays()[name])
    assert not np.array_equal(one.control["previous_token"], other.control["previous_token"])


def test_untrained_weights_are_built_apart_and_look_at_nothing_special(stories: Loaded) -> None:
    before = {name: p.clone() for name, p in stories.module.named_parameters()}
    fresh, why = untrained(stories, 0)
    assert why == ""
    assert fresh is not None
    result = api.run("heads", stories, n_sequences=8)
    assert result.untrained["previous_token"].max() < 0.06
    assert result.untrained["entropy"].min() > 0.99
    assert result.shuffled["previous_token"].max() > 0.5  # places alone make that head
    assert result.threshold("previous_token") < 0.06
    for name, parameter in stories.module.named_parameters():
        assert torch.equal(parameter, before[name])


def test_large_models_are_not_made_a_second_time_and_the_answer_says_so(
    stories: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.analyses.head_nulls.SMALL", 1_000)
    result = api.run("heads", stories, n_sequences=2)
    assert result.untrained == {}
    assert np.isnan(result.threshold("previous_token"))
    assert any("untrained weights left out" in note for note in result.notes)
    assert result.shuffled["previous_token"].shape == (5, 8)


def test_the_answer_is_small_and_survives_being_stored(of_stories: Heads, tmp_path: Path) -> None:
    assert of_stories.n_bytes < 60_000
    again = unpack("k", pack("k", of_stories))
    assert isinstance(again, Heads)
    assert json.dumps(again.labels()) == json.dumps(of_stories.labels())
    for name, array in of_stories.arrays().items():
        np.testing.assert_array_equal(array, again.arrays()[name])
    assert {"scores/previous_token", "control/induction"} <= set(again.arrays())
    saved = api.open_result(of_stories.save(tmp_path / "answer"))
    assert saved.to_frame().shape[0] == 40


def test_every_kind_is_explained_and_every_role_rests_on_one() -> None:
    assert set(MASSES) <= set(KINDS)
    assert {role.kind for role in ROLES} <= set(KINDS)
    assert all(role.unless in ("", *ROLE_NAMES) for role in ROLES)


def test_a_head_of_few_queries_gets_no_role(
    planted: tuple[Loaded, tuple[int, int], tuple[int, int]],
) -> None:
    m, _, induction = planted
    text = planted_heads.repeated_text()
    few = api.run("heads", m, text=text, nulls=False)
    assert few.n_queries["induction"] < LEAST_QUERIES
    assert not few.enough("induction")
    assert ROLE_NAMES[few.role[induction]] != "induction"
    assert any("not to be relied on" in note and "induction" in note for note in few.notes)


def keys_of(runs: Runs, query: int) -> list[int]:
    """The target keys of one query of the first row."""
    first = int(runs.first[0, query])
    return runs.order[0, first : first + int(runs.n[0, query])].tolist()


def test_pieces_of_a_word_and_words_of_a_topic_are_targets(stories: Loaded) -> None:
    ids = stories.tokenizer("Tom and he saw a dinosaur. She")["input_ids"]
    names = stories.tokenizer.convert_ids_to_tokens(ids)
    texts = HeadTexts("1 text", (tuple(ids),))
    kinds = target_kinds(stories, rows(stories, [ids]), texts, [["he", "she"], ["and"]])
    begin = names.index("▁d")
    end = names.index(".")
    assert end - begin > 2  # "dinosaur" is several pieces
    for place in range(begin, end):
        assert keys_of(kinds["same_word"], place) == list(range(begin, place))
    assert keys_of(kinds["same_word"], end) == []
    assert keys_of(kinds["same_topic"], names.index("▁She")) == [names.index("▁he")]
    assert keys_of(kinds["same_topic"], names.index("▁he")) == []


def test_classes_of_tokens_are_told_by_their_text(stories: Loaded) -> None:
    ids = stories.tokenizer("Tom saw a cat, and he ran to 2 big trees.\n")["input_ids"]
    found = class_kinds(stories, HeadTexts("1 text", (tuple(ids),)), ["big"])

    def texts(kind: str) -> set[str]:
        return set(stories.tokenizer.convert_ids_to_tokens(sorted(found[kind])))

    assert texts("punctuation") == {",", "."}
    assert texts("newline") == {"<0x0A>"}
    assert texts("delimiter") == {",", ".", "<0x0A>"}
    assert texts("digit") == {"2"}
    assert texts("stop_word") == {"▁a", "▁and", "▁he", "▁to"}
    assert texts("capitalised") == {"▁T"}
    assert "▁big" in texts("chosen")


def test_random_text_is_of_ordinary_tokens_only(stories: Loaded, gpt2: Loaded) -> None:
    assert ordinary_ids(stories) == list(range(259, 512))
    special = set(gpt2.tokenizer.all_special_ids)
    names = gpt2.tokenizer.convert_ids_to_tokens(ordinary_ids(gpt2))
    assert not special & set(ordinary_ids(gpt2))
    assert min(map(len, names)) > 1  # one sign is one byte there
    rows_ = repeated(stories, 3, 0)
    assert all(row[0] == 1 and row[1:51] == row[51:] for row in rows_.ids)


@pytest.mark.parametrize("family", ["bert", "t5", "bloom", "gemma2", "mistral", "gpt_neo"])
def test_every_kind_of_model_answers_or_says_why_not(
    family: str, tiny: Callable[[str], Path]
) -> None:
    m = api.load(tiny(family), device="cpu")
    result = api.run("heads", m, n_sequences=3)
    layers = len(m.stacks[m.prompt_stack].blocks)
    for kind in ("previous_token", "duplicate_token", "induction"):
        assert result.scores[kind].shape == (layers, m.n_heads)
        assert np.isfinite(result.scores[kind]).all()
        assert np.isfinite(result.control[kind]).all()
    assert ("distance" in result.kinds) == (m.kind == "decoder")
    assert ("next_token" in result.kinds) == (m.kind != "decoder")
    assert bool(result.behaviour) == (m.kind == "decoder")
    assert any("one layer at a time" in note for note in result.notes) == (
        m.pattern_source == "outputs"
    )
    if m.kind == "encoder":
        assert result.lags[0] == -result.lags[-1] < 0
    # What a sliding window hides is in no uniform attention either.
    assert (result.uniform["entropy"] <= 1 + 1e-5).all()


def test_what_cannot_be_asked_is_said_in_a_sentence(stories: Loaded) -> None:
    for options, words in (
        ({"text": ""}, "text of one token"),
        ({"kinds": ["previous"]}, "no kind 'previous'"),
        ({"kinds": "previous_token"}, "no kind 'previous_token' in a list"),
        ({"n_sequences": 0}, "whole number from 1"),
        ({"reading": "raw"}, "reading is one of"),
        ({"text": "a b", "corpus": "reference"}, "one of the three"),
        ({"text": "cat", "kinds": ["newline"], "nulls": False}, "none of these kinds"),
    ):
        with pytest.raises(api.Error, match=words):
            api.run("heads", stories, **options)


def test_weighing_by_values_is_refused_where_values_are_not_handed_out(
    tiny: Callable[[str], Path],
) -> None:
    m = api.load(tiny("bloom"), device="cpu")
    with pytest.raises(api.Error, match="without the values"):
        api.run("heads", m, text="the cat sat", reading="by_value")


def test_a_text_too_long_to_hold_its_predictions_is_scored_without_losses(
    stories: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.analyses.heads.MOST_LOGITS", 1_000)
    result = api.run("heads", stories, text=TEXT, nulls=False)
    assert result.loss.size == 0
    assert result.behaviour == {}
    assert any("would not fit in memory" in note for note in result.notes)


def test_one_head_and_two_tokens_are_enough(tmp_path: Path) -> None:
    from tests.tiny import make

    m = api.load(make("gpt2", tmp_path / "one", n_head=1), device="cpu")
    result = api.run("heads", m, text="cat sat", nulls=False, kinds=["previous_token"])
    assert result.scores["previous_token"].shape == (3, 1)
    assert result.kinds == ("previous_token",)


@pytest.mark.parametrize("look", [Look(), Look(dark=True)], ids=["light", "dark"])
def test_figures_say_what_the_scores_say(of_stories: Heads, look: Look) -> None:
    roles = drawing.figure(of_stories, look)
    assert len(roles.data[0].z) == 5
    kind = drawing.figure(of_stories, look, show="previous_token")
    np.testing.assert_allclose(kind.data[0].z, of_stories.scores["previous_token"], rtol=1e-6)
    np.testing.assert_allclose(kind.data[1].z, of_stories.control["previous_token"], rtol=1e-6)
    both = drawing.figure(of_stories, look, show="previous_token", against="entropy")
    np.testing.assert_allclose(both.data[0].y, of_stories.scores["entropy"].ravel(), rtol=1e-6)
    back = drawing.figure(of_stories, look, head=(3, 6))
    np.testing.assert_allclose(back.data[0].y, of_stories.lag[3, 6], rtol=1e-6)
    assert "L3.head[6] looks most 1 token back: 0.746 (uniform 0.042" in back.layout.title.text


def test_the_caption_names_controls_and_sample(of_stories: Heads) -> None:
    words = drawing.caption(of_stories)
    assert "64 texts, 6,464 tokens" in words
    assert "as many random keys" in words
    assert "loss 12 in the first copy" in words
    with pytest.raises(api.Error, match="scores can show role, previous_token"):
        drawing.figure(of_stories, Look(), show="nonsense")
