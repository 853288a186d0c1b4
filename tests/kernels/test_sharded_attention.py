"""Attention of shards against the whole pattern with the same keys hidden."""

import pytest
import torch
from torch import Tensor

from kernels.dispatch import implementation
from kernels.sharded_attention import Rule, reference, sharded_attention, shards


def inputs(rows: int, heads: int, kv: int, tokens: int, size: int = 8) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(tokens)
    shapes = ((rows, heads), (rows, kv), (rows, kv))
    return tuple(torch.randn(*shape, tokens, size, generator=generator) for shape in shapes)


def whole(
    query: Tensor, key: Tensor, value: Tensor, visible: Tensor, block: int, rule: Rule
) -> tuple[Tensor, Tensor]:
    """The same in float64 with every pattern in hand."""
    each = query.shape[1] // key.shape[1]
    query, key, value = (part.double() for part in (query, key, value))
    key, value = (part.repeat_interleave(each, dim=1) for part in (key, value))
    score = query @ key.transpose(2, 3) * rule.scaling
    if rule.cap:
        score = rule.cap * torch.tanh(score / rule.cap)
    tokens = query.shape[2]
    seen = torch.ones(tokens, tokens, dtype=torch.bool).tril()[None, None]
    if rule.mask is not None:
        seen = rule.mask if rule.mask.dtype == torch.bool else rule.mask == 0
    place = torch.arange(tokens) // block
    shard = visible[:, :, place][..., place]
    full = score.masked_fill(~seen, float("-inf")).softmax(-1)
    part = score.masked_fill(~(seen & shard), float("-inf")).softmax(-1)
    return (part @ value).transpose(1, 2), (full * shard).sum(-1)


@pytest.mark.parametrize(("rows", "heads", "kv", "tokens"), [(1, 4, 4, 50), (2, 6, 2, 33)])
@pytest.mark.parametrize("cap", [None, 2.0])
def test_outputs_and_shares_are_those_of_the_whole_pattern(
    rows: int, heads: int, kv: int, tokens: int, cap: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(reference.AT_ONCE, "cpu", 7 * heads * rows * tokens)  # several chunks
    parts = inputs(rows, heads, kv, tokens)
    visible = shards(-(-tokens // 4), heads, local=1, stride=4)[None]
    rule = Rule(0.5, cap)
    found = sharded_attention(*parts, visible, 4, rule)
    z, kept = whole(*parts, visible, 4, rule)
    torch.testing.assert_close(found.z.double(), z, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.kept.double(), kept, atol=1e-5, rtol=1e-5)
    assert kept.min() < 0.9


def test_with_every_block_visible_it_is_ordinary_attention() -> None:
    query, key, value = inputs(2, 4, 4, 40)
    every = torch.ones(1, 4, 5, 5, dtype=torch.bool)
    found = sharded_attention(query, key, value, every, 8, Rule(8**-0.5))
    plain = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(found.z, plain.transpose(1, 2), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.kept, torch.ones_like(found.kept))


def test_the_models_own_mask_stays_in_force_as_bool_and_as_numbers() -> None:
    query, key, value = inputs(1, 2, 2, 24)
    seen = torch.ones(24, 24, dtype=torch.bool).tril().triu(-6)[None, None]
    visible = shards(6, 2, local=2, stride=3)[None]
    least = torch.finfo(torch.float32).min
    for mask in (seen, torch.zeros(1, 1, 24, 24).masked_fill(~seen, least)):
        rule = Rule(0.4, mask=mask)
        found = sharded_attention(query, key, value, visible, 4, rule)
        z, _ = whole(query, key, value, visible, 4, rule)
        torch.testing.assert_close(found.z.double(), z, atol=1e-5, rtol=1e-5)


def test_the_heads_together_see_every_block_and_each_sees_its_own() -> None:
    table = shards(16, 8, local=2, stride=8)
    causal = torch.ones(16, 16, dtype=torch.bool).tril()
    assert torch.equal(table.any(0), causal)
    assert not (table & ~causal).any()
    assert table.diagonal(dim1=1, dim2=2).all()
    for head in range(8):
        assert table[head, 15, 14]
        remote = table[head, 15, :14]
        assert 1 <= int(remote.sum()) <= 2
        assert all((j + head) % 8 == 0 for j in remote.nonzero()[:, 0].tolist())


def test_rows_may_have_shards_of_their_own() -> None:
    query, key, value = inputs(2, 2, 1, 20)
    visible = torch.stack([shards(5, 2, 1, 3), torch.ones(5, 5, dtype=torch.bool).expand(2, 5, 5)])
    found = sharded_attention(query, key, value, visible, 4, Rule(1.0))
    alone = [
        sharded_attention(
            query[r : r + 1], key[r : r + 1], value[r : r + 1], visible[r : r + 1], 4, Rule(1.0)
        )
        for r in range(2)
    ]
    for row, one in enumerate(alone):
        torch.testing.assert_close(found.z[row], one.z[0])


def test_shapes_that_do_not_fit_are_refused() -> None:
    query, key, value = inputs(1, 4, 3, 20)
    with pytest.raises(ValueError, match="cannot share"):
        sharded_attention(query, key, value, shards(5, 4, 1, 2)[None], 4, Rule(1.0))
    query, key, value = inputs(1, 4, 2, 20)
    with pytest.raises(ValueError, match="need blocks"):
        sharded_attention(query, key, value, shards(4, 4, 1, 2)[None], 4, Rule(1.0))
    blind = torch.zeros(1, 4, 5, 5, dtype=torch.bool)
    with pytest.raises(ValueError, match="see itself"):
        sharded_attention(query, key, value, blind, 4, Rule(1.0))


def test_the_reference_runs_and_says_so() -> None:
    run, reason = implementation("sharded_attention", "cpu")
    assert run is reference.run
    assert "only one written" in reason
