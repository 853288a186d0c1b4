"""Context sharding: planted heads that need range, identities, every family."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.analyses.runs import Silent
from core.analyses.sharding import _stand_in, _windows, random_like, sharding
from core.engine import attention
from core.engine.forward import run
from core.engine.loss import next_token_losses
from core.engine.rows import rows
from core.figures import sharding as drawn
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.sharding import Sharding
from core.spec.errors import Error
from kernels.sharded_attention import shards
from tests import planted_heads

FAMILIES = (
    "gpt2",
    "gpt_neox",
    "opt",
    "mistral",
    "qwen3",
    "gemma2",
    "gemma3_text",
    "cohere2",
    "phi3",
)


@pytest.fixture(scope="module")
def result(stories: Loaded) -> Sharding:
    return sharding(stories, Silent(), n_texts=2, n_cases=2)


@pytest.mark.parametrize("family", FAMILIES)
def test_with_every_block_visible_the_model_is_unchanged(
    family: str, tiny: Callable[[str], Path]
) -> None:
    loaded = api.load(tiny(family), device="cpu")
    text = rows(loaded, [[9, 14, 21, 9, 33, 40, 14, 27, 19, 8, 12, 30]])
    before = run(loaded, text).logits
    every = torch.ones(1, loaded.n_heads, 6, 6, dtype=torch.bool)
    with attention.standing_in(_stand_in(loaded, every, 2)):
        after = run(loaded, text).logits
    with attention.standing_in(_stand_in(loaded, shards(6, loaded.n_heads, 1, 6)[None], 2)):
        hidden = run(loaded, text).logits
    assert before is not None
    assert after is not None
    assert hidden is not None
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)
    assert (hidden - before)[:, -1].abs().max() > 1e-3
    assert torch.equal(run(loaded, text).logits, before)


def test_the_planted_head_that_copies_needs_range_and_the_one_that_looks_back_does_not(
    tmp_path: Path,
) -> None:
    loaded = api.load(planted_heads.gpt2(tmp_path / "model"), device="cpu")
    texts = [planted_heads.repeated_text(20, seed) for seed in range(4)]
    # One local block before the own, and no other: twenty tokens back are out of sight.
    found = sharding(
        loaded, Silent(), texts=texts, tasks=(), block=4, local=2, stride=100, offset=50
    )
    others = np.delete(found.need.ravel(), 4)
    assert found.need[1, 0] > 0.5
    assert found.hidden[1, 0] > 0.5
    assert found.hidden[0, 0] < 1e-3
    assert abs(found.need[0, 0]) < 1e-4
    assert np.abs(others).max() < 0.1


def test_one_head_at_a_time_is_what_masking_it_alone_costs(
    stories: Loaded, result: Sharding
) -> None:
    windows = _windows(stories, (), 2)
    table = torch.ones(1, 8, result.blocks, result.blocks, dtype=torch.bool)
    table[0, 3] = shards(result.blocks, 8, result.local, result.stride)[3]
    lost = []
    for ids in windows:
        text = rows(stories, [ids])
        with attention.standing_in(_stand_in(stories, table, result.block, 0)):
            masked = run(stories, text).logits
        plain = run(stories, text).logits
        assert masked is not None
        assert plain is not None
        lost.append(
            float((next_token_losses(masked, text) - next_token_losses(plain, text)).mean())
        )
    assert result.need[0, 3] == pytest.approx(np.mean(lost), abs=1e-5)
    assert result.n_texts == 2
    assert result.n_tokens == 2 * (len(windows[0]) - 1)


def test_seeing_everything_costs_nothing_and_shares_lie_between_0_and_1(result: Sharding) -> None:
    assert result.sweep_local[-1] == result.blocks
    assert result.sweep[-1] == pytest.approx(result.loss, abs=1e-5)
    assert result.sweep_seen[-1] == 1.0
    assert (np.diff(result.sweep_seen) > 0).all()
    assert ((result.hidden >= 0) & (result.hidden <= 1)).all()


def test_random_blocks_are_as_many_as_those_of_the_shard() -> None:
    table = shards(12, 5, local=2, stride=4)
    other = random_like(table, 3)
    assert torch.equal(other.sum(-1), table.sum(-1))
    assert not torch.equal(other, table)
    assert not other.triu(1).any()
    assert other.diagonal(dim1=1, dim2=2).all()


@pytest.mark.parametrize("view", drawn.VIEWS)
@pytest.mark.parametrize("dark", [False, True])
def test_every_view_is_drawn_with_named_axes(result: Sharding, view: str, dark: bool) -> None:
    fig = drawn.figure(result, Look(dark=dark), view=view)
    assert fig.layout.xaxis.title.text
    assert fig.layout.yaxis.title.text
    assert "control" in drawn.caption(result)
    assert "tokens foretold" in drawn.caption(result)


def test_what_cannot_be_asked_is_refused_with_a_sentence(
    stories: Loaded, tiny: Callable[[str], Path]
) -> None:
    with pytest.raises(Error, match="cannot be stood in for"):
        sharding(api.load(tiny("bloom"), device="cpu"), Silent())
    with pytest.raises(Error, match="does not continue a text"):
        sharding(api.load(tiny("bert"), device="cpu"), Silent())
    with pytest.raises(Error, match="local must be"):
        sharding(stories, Silent(), local=0)
    with pytest.raises(Error, match="16 tokens or more"):
        sharding(stories, Silent(), texts=["Hi."])
