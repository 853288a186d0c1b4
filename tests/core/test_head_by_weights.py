"""What heads do by their weights: planted heads, dense products, figures measured elsewhere."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core.analyses.head_composition import head_composition
from core.analyses.head_successor import head_successor
from core.analyses.runs import Silent
from core.engine.forward import run
from core.engine.head_circuits import eigenvalue_score, participation, random_thin, singular
from core.engine.head_probe import head_weights, positions
from core.engine.readout import reading_matrix
from core.engine.rows import rows
from core.engine.token_scores import decoded, vocabulary
from core.engine.token_states import frequent_ids, start_id, token_inputs, token_states
from core.models.loaded import Loaded, rebuilt
from core.models.tokens import pieces
from core.spec.site import Site
from tests import planted_heads
from tests.core.head_models import Model, model, ovqk, scores
from tests.planted_successor import CLASSES, SUCCESSOR

SOME = ["llama", "gpt2", "gpt_neox", "gemma2", "qwen3", "falcon_grouped", "olmo2"]
__all__ = ["model"]  # a fixture

# Planted heads


@pytest.mark.parametrize(
    ("name", "head", "copies"),
    [("P1", planted_heads.GPT2_INDUCTION, 1.0), ("P2", planted_heads.LLAMA_INDUCTION, 1.0)],
)
def test_the_planted_induction_head_copies_and_no_other_does(
    name: str, head: tuple[int, int], copies: float, model: Model
) -> None:
    found = scores(model(name), embedding="raw")
    assert found.scores["ov_eigenvalue"][head] == pytest.approx(1.0, abs=1e-3)
    others = np.delete(found.scores["copy_at_5"].ravel(), head[0] * 4 + head[1])
    assert found.scores["copy_at_5"][head] == copies
    assert np.nanmax(others) < 0.5
    assert found.scores["suppress_at_5"][head] == 0
    assert found.control["copy_at_5"].max() < 0.5


def test_a_head_that_writes_nothing_has_no_eigenvalue_score_and_copies_nothing(
    model: Model,
) -> None:
    loaded = edited(model("P1"), lambda block: block.heads.weight[:64].zero_())
    found = scores(loaded, embedding="raw")
    assert np.isnan(found.scores["ov_eigenvalue"][:, 0]).all()
    for kind in ("copy_at_5", "suppress_at_5"):
        assert (found.scores[kind][:, 0] == 0).all()


def test_the_planted_pair_composes_through_keys_alone(model: Model) -> None:
    # 0.174 and 0.06 were measured for this model by dense products elsewhere.
    found = head_composition(model("P1"), Silent())
    early, late = (layer * 4 + head for layer, head in ((0, 0), (1, 0)))
    keys = found.composition["k"]
    assert keys[early, late] == pytest.approx(0.174, abs=0.002)
    assert found.strongest("k", 1) == [(early, late)]
    others = keys[~np.isnan(keys) & (np.arange(keys.size).reshape(keys.shape) != early * 8 + late)]
    assert others.min() > 0.055
    assert others.max() < 0.07
    assert found.composition["q"][early, late] < 0.005
    assert found.composition["v"][early, late] < 0.005
    assert found.random[:, 0] == pytest.approx(1 / 16, abs=0.002)  # 1 / sqrt(d_model)


def test_heads_of_one_layer_or_a_lower_one_do_not_read_each_other(model: Model) -> None:
    found = head_composition(model("P1"), Silent())
    table = found.composition["q"]
    assert np.isnan(table[4:]).all()
    assert np.isnan(table[:, :4]).all()
    assert found.n_pairs == 16 == (~np.isnan(table)).sum()
    assert found.n_pairs * 3 == len(found.to_frame())


def test_the_planted_successor_is_found_and_random_heads_stay_at_chance(model: Model) -> None:
    found = scores(model("P3"), embedding="raw")
    values = found.scores["successor"].copy()
    assert values[SUCCESSOR] == 1.0
    assert found.chance == pytest.approx((19 / 20 + 1 + 1) / 38)
    values[SUCCESSOR] = 0
    assert values.max() <= 0.2
    assert found.control["successor"].max() <= 0.2
    assert dict(zip(found.list_names, found.list_sizes, strict=True)) == {
        "number_words_1_20": 20,
        "number_words_1_99": 20,
        "days": 7,
        "months": 12,
    }
    assert all(table[SUCCESSOR] == 1.0 for table in found.by_list.values())
    assert found.scores["successor_over_copy"][SUCCESSOR] > 1
    assert found.scores["copy_at_5"][SUCCESSOR] < 0.2


def test_the_embedding_matters_and_is_named(model: Model) -> None:
    raw, effective = (scores(model("P3"), embedding=each) for each in ("raw", "effective"))
    assert (raw.embedding, effective.embedding) == ("raw", "effective")
    assert effective.scores["successor"][SUCCESSOR] != raw.scores["successor"][SUCCESSOR]
    # Heads of layer 0 read the embedding itself in either case.
    assert effective.scores["successor"][0].tolist() == raw.scores["successor"][0].tolist()


def test_the_matrix_of_the_planted_successor_lies_beside_the_diagonal(model: Model) -> None:
    layer, head = SUCCESSOR
    one = head_successor(
        model("P3"), Silent(), layer=layer, head=head, sequence="days", embedding="raw"
    )
    assert one.items == CLASSES[2]
    assert one.logits.argmax(axis=1).tolist() == [1, 2, 3, 4, 5, 6, 0]
    assert one.hit.all()
    assert one.score == 1.0
    assert one.control_score <= 0.5
    assert (one.rank == 1).all()
    assert (one.over_copy > 1).all()
    numbers = head_successor(model("P3"), Silent(), layer=layer, head=head, embedding="raw")
    assert (numbers.list_name, numbers.n_steps) == ("number_words_1_20", 19)


def test_the_planted_heads_tables_show_what_was_planted(model: Model) -> None:
    layer, head = SUCCESSOR
    one = ovqk(model("P3"), layer=layer, head=head, token="Monday May", embedding="raw", k=3)
    written = [one.read(ids)[0] for ids in one.ov["top_ids"]]
    sources = [one.read(ids)[0] for ids in one.sources_of["top_ids"]]
    assert (written, sources) == (["Tuesday", "June"], ["Sunday", "April"])
    assert (one.ov["top_z"][:, 0] > one.null_z).all()
    assert (one.ov["control_z"] < one.null_z).all()
    # Forty equal channels of 64: one for each word of the lists.
    assert one.participation == pytest.approx(39, rel=1e-3)


def test_an_induction_head_looks_for_what_it_has_seen_behind_its_own_token(model: Model) -> None:
    # L1.head[2] matches the token's block with the block of the token before, which a token alone
    # does not fill; so its queries prefer nothing, while it copies what it sees.
    layer, head = planted_heads.LLAMA_INDUCTION
    one = ovqk(model("P2"), layer=layer, head=head, token='"w5"', k=2, embedding="raw")
    assert one.read(one.ov["top_ids"][0])[0] == "w5"
    assert one.ov["own_rank"].tolist() == [1]
    assert one.kv_head == 1


def test_a_head_of_biases_alone_peaks_at_a_distance_of_one(model: Model) -> None:
    layer, head = planted_heads.LLAMA_PREVIOUS
    one = ovqk(model("P2"), layer=layer, head=head)
    assert one.position == "rotary"
    for line in ("score", "mean"):
        assert one.offsets["offsets"][one.offsets[line].argmax()] == 1
    assert np.ptp(one.offsets["control"]) < 0.1 * np.ptp(one.offsets["mean"])


# Against dense products


@pytest.mark.parametrize("name", SOME)
def test_tables_channels_and_scores_equal_dense_products(name: str, model: Model) -> None:
    loaded = model(name)
    layer, head = 1, 2 % loaded.n_heads
    heads, say = head_weights(loaded, layer), reading_matrix(loaded).double()
    v, o = (part.double() for part in heads.ov(head))
    dense = v @ o
    ids = frequent_ids(loaded, 4)
    one = ovqk(loaded, layer=layer, head=head, k=5)
    x = token_inputs(loaded, one.source_ids.tolist(), layer, "effective").double()
    logits = (x @ dense @ say.T)[:, : one.n_vocabulary]
    close(one.ov["top_logits"], logits.topk(5).values)
    close(one.ov["bottom_logits"], logits.topk(5, largest=False).values)
    picked = torch.from_numpy(one.ov["top_ids"])
    close(one.ov["top_logits"], logits.gather(1, picked))
    z = (logits - logits.mean(1, keepdim=True)) / logits.std(1, keepdim=True, unbiased=False)
    close(one.ov["top_z"], z.topk(5).values)
    values = torch.linalg.svdvals(dense)[: loaded.d_head]
    close(one.spectrum, values)
    assert one.participation == pytest.approx(
        float(values.square().sum() ** 2 / values.pow(4).sum()), rel=1e-3
    )
    read, sizes, written = singular(*heads.ov(head))
    close((read.T * sizes) @ written, dense)
    states = token_states(loaded, range(one.n_vocabulary), layer, "raw").double()
    full = states @ dense @ say[: one.n_vocabulary].T
    eigen = torch.linalg.eigvals(full)
    spoken = say[: one.n_vocabulary].T @ states
    assert eigenvalue_score(*heads.ov(head), spoken.float()) == pytest.approx(
        float(eigen.real.sum() / eigen.abs().sum()), abs=2e-3
    )
    assert len(ids) == 4


@pytest.mark.parametrize("name", ["llama", "gpt2", "olmo2"])
def test_copy_at_5_counts_tokens_among_the_five_most_raised(name: str, model: Model) -> None:
    loaded = model(name)
    found = scores(loaded)
    ids = list(frequent_ids(loaded, found.n_tokens))
    layer = loaded.n_layers - 1
    x = token_inputs(loaded, ids, layer, "effective").double()
    say = reading_matrix(loaded).double()[: found.n_vocabulary]
    for head in range(loaded.n_heads):
        v, o = (part.double() for part in head_weights(loaded, layer).ov(head))
        logits = x @ v @ o @ say.T
        own = logits[torch.arange(len(ids)), ids][:, None]
        copied = ((logits > own).sum(1) < 5).double().mean()
        lowered = ((logits < own).sum(1) < 5).double().mean()
        assert found.scores["copy_at_5"][layer, head] == pytest.approx(float(copied), abs=0.01)
        assert found.scores["suppress_at_5"][layer, head] == pytest.approx(float(lowered), abs=0.01)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2"])
def test_composition_equals_dense_products(name: str, model: Model) -> None:
    loaded = model(name)
    found = head_composition(loaded, Silent())
    for (early, first), (late, second) in (((0, 1), (1, 2)), ((0, 0), (2, 1))):
        a, b = head_weights(loaded, early), head_weights(loaded, late)
        writes = torch.matmul(*a.ov(first)).double()
        query, key = (part.double() for part in b.qk(second))
        reads = {"q": query @ key.T, "k": key @ query.T, "v": torch.matmul(*b.ov(second)).double()}
        for kind, other in reads.items():
            wanted = (writes @ other).norm() / writes.norm() / other.norm()
            place = (early * loaded.n_heads + first, late * loaded.n_heads + second)
            assert found.composition[kind][place] == pytest.approx(float(wanted), rel=1e-3)


@pytest.mark.parametrize("name", ["llama", "gpt_neox", "gptj", "glm", "qwen3", "gemma2", "cohere"])
def test_scores_at_an_offset_are_those_of_a_text_of_tokens(name: str, model: Model) -> None:
    """log A[q, k] - log A[q, q] is the score at offset q - k less that at 0."""
    loaded = model(name)
    ids = list(frequent_ids(loaded, 3))
    texts = [f'"{piece}"' for piece in pieces(loaded, ids)]
    place = Site(0, "pattern", 1)
    pattern = run(loaded, rows(loaded, [ids]), read=[place], logits="none").values[place][0].log()
    other, own = (
        ovqk(loaded, layer=0, head=1, query=texts[2], key=texts[key]).offsets["score"]
        for key in (0, 2)
    )
    assert other[2] - own[0] == pytest.approx(float(pattern[2, 0] - pattern[2, 2]), abs=2e-3)


def test_the_table_of_pairs_holds_the_largest_scores_beside_the_querys_mean(model: Model) -> None:
    loaded = model("llama")
    one = ovqk(loaded, layer=0, head=3, offset=2, k=4)
    heads = head_weights(loaded, 0)
    x = token_inputs(loaded, frequent_ids(loaded, 2_000), 0, "raw")
    query, key = (x @ part for part in heads.qk(3))
    scores_ = positions(loaded)[0].scores(query, key, 2, 3)
    preference = scores_ - scores_.mean(dim=1, keepdim=True)
    close(one.pairs["preference"], preference.flatten().topk(4).values)
    at = dict(zip(frequent_ids(loaded, 2_000), range(len(x)), strict=True))
    first = at[int(one.pairs["query_ids"][0])], at[int(one.pairs["key_ids"][0])]
    assert one.pairs["score"][0] == pytest.approx(float(scores_[first]), rel=1e-4)


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert", "mpt"])
def test_an_effective_embedding_is_the_librarys_state_behind_its_first_block(
    name: str, model: Model
) -> None:
    loaded = model(name)
    ids = [11, 40, 7]
    states = token_states(loaded, ids, 2, "effective")
    for token, state in zip(ids, states, strict=True):
        text = torch.tensor([[start_id(loaded), token]])
        with torch.no_grad():
            whole = loaded.module(text, output_hidden_states=True).hidden_states
        torch.testing.assert_close(state, whole[1][0, 1], atol=1e-5, rtol=1e-5)
    assert torch.equal(
        token_states(loaded, ids, 0, "effective"), token_states(loaded, ids, 2, "raw")
    )


def test_common_tokens_are_ordinary_and_begin_with_those_of_the_reference_text(
    stories: Loaded,
) -> None:
    read = pieces(stories, frequent_ids(stories, 400))
    assert {" the", " a", ".", ","} & set(read[:20])
    assert not any(piece.startswith("<0x") or not piece.strip() for piece in read)


# Measured elsewhere on the same weights


def test_eigenvalue_scores_of_a_trained_model_are_those_measured_elsewhere(stories: Loaded) -> None:
    found = scores(stories, embedding="raw").scores["ov_eigenvalue"]
    measured = {(4, 0): 0.975, (2, 6): 0.972, (2, 2): 0.950, (1, 5): -0.888, (0, 5): -0.788}
    for place, value in measured.items():
        assert found[place] == pytest.approx(value, abs=1e-3)
    assert np.unravel_index(found.argmax(), found.shape) == (4, 0)
    assert np.unravel_index(found.argmin(), found.shape) == (1, 5)


# Controls


def test_random_factors_are_as_large_and_spread_over_all_channels() -> None:
    generator = torch.Generator().manual_seed(1)
    a, b = torch.randn(40, 8, generator=generator), torch.randn(8, 40, generator=generator)
    a[:, 0] *= 100
    left, right = random_thin(a, b, 5, seed=0)
    size = (a @ b).norm()
    for pair in zip(left, right, strict=True):
        torch.testing.assert_close(torch.matmul(*pair).norm(), size, rtol=1e-4, atol=0)
    own, random = singular(a, b)[1], singular(left[0], right[0])[1]
    assert float(participation(own)) < 1.1
    assert float(participation(random)) > 4


def test_one_per_cent_of_random_directions_pass_the_null(stories: Loaded) -> None:
    one = ovqk(stories)
    rows_ = torch.randn(2_000, 64, generator=torch.Generator().manual_seed(7))
    passed = (decoded(vocabulary(stories), rows_, 1).largest_z > one.null_z).float().mean()
    assert 0.002 < float(passed) < 0.03


def test_relative_takes_away_what_is_written_for_every_token(stories: Loaded) -> None:
    plain, relative = (
        ovqk(stories, layer=4, head=0, token="the", relative=r) for r in (False, True)
    )
    x = token_inputs(stories, frequent_ids(stories, 2_000), 4, "effective")
    v, o = head_weights(stories, 4).ov(0)
    usual = x.mean(dim=0) @ v @ o @ reading_matrix(stories).T
    ids = relative.ov["top_ids"][0]
    moved = dict(zip(plain.ov["top_ids"][0].tolist(), plain.ov["top_logits"][0], strict=True))
    shared = [token for token in ids.tolist() if token in moved]
    assert shared
    for token in shared:
        at = ids.tolist().index(token)
        assert relative.ov["top_logits"][0, at] == pytest.approx(
            moved[token] - float(usual[token]), abs=1e-3
        )


def edited(loaded: Loaded, change: Callable[[Any], Any]) -> Loaded:
    """A copy of a model with its blocks changed."""
    made = rebuilt(loaded, copy.deepcopy(loaded.module))
    made.memo = {}
    with torch.no_grad():
        for block in made.stacks[""].blocks:
            change(block)
    return made


def close(found: "np.ndarray | Tensor", wanted: Tensor) -> None:
    torch.testing.assert_close(
        torch.as_tensor(found).double(), wanted.double(), atol=2e-3, rtol=2e-3
    )
