"""Attention of shards against the whole pattern with the same keys hidden, on every path."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from kernels.dispatch import implementation
from kernels.sharded_attention import Rule, Sharded, blocks, reference, sharded_attention, shards
from kernels.sharded_attention.blocks import lists

Run = Callable[[Tensor, Tensor, Tensor, Tensor, int, Rule], Sharded]
NO_TRITON = "triton is not installed; `pip install triton` runs this in its interpreter"
KERNELS = Path(reference.__file__).parents[1]
BLOCK = 4


@pytest.fixture(scope="module")
def fused() -> Iterator[ModuleType]:
    """The Triton path: on the card where there is one, else in Triton's interpreter."""
    with pytest.MonkeyPatch.context() as patch:
        if not torch.cuda.is_available():
            patch.setenv("TRITON_INTERPRET", "1")
        pytest.importorskip("triton", reason=NO_TRITON)
        # Past the import hook that checks shapes: it wraps functions, and Triton reads them.
        for name in (
            "head_stats.programs",
            "sharded_attention.programs",
            "sharded_attention.triton",
        ):
            where = f"kernels.{name}"
            spec = spec_from_file_location(where, KERNELS / f"{name.replace('.', '/')}.py")
            assert spec is not None
            assert spec.loader is not None
            module = module_from_spec(spec)
            patch.setitem(sys.modules, where, module)
            spec.loader.exec_module(module)
        yield module


@pytest.fixture(params=["reference", "blocks", "triton"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Each path, in pieces so small that every one of them has borders."""
    if request.param == "reference":
        monkeypatch.setitem(reference.AT_ONCE, "cpu", 7 * 8 * 50)
        return reference.run
    if request.param == "blocks":
        monkeypatch.setitem(blocks.AT_ONCE, "cpu", 3 * 8 * BLOCK * BLOCK * 8)
        return blocks.run
    fused: ModuleType = request.getfixturevalue("fused")
    monkeypatch.setattr(fused, "QUERIES", 16)
    monkeypatch.setattr(fused, "KEYS", 16)
    if not torch.cuda.is_available():
        return fused.run
    return lambda *what: Sharded(fused.run(*map(_on_card, what)).z.cpu(), None)


def _on_card(what: object) -> object:
    if isinstance(what, Rule):
        moved: dict[str, Any] = {name: _on_card(getattr(what, name)) for name in ("mask", "bias")}
        return replace(what, **moved)
    return what.cuda() if isinstance(what, Tensor) else what


def inputs(
    rows: int, heads: int, kv: int, tokens: int, size: int = 8
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(tokens)

    def made(n: int) -> Tensor:
        return torch.randn(rows, n, tokens, size, generator=generator)

    return made(heads), made(kv), made(kv)


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
    if rule.bias is not None:
        score = score + rule.bias
    tokens = query.shape[2]
    seen = torch.ones(tokens, tokens, dtype=torch.bool).tril()[None, None]
    if rule.mask is not None:
        seen = rule.mask if rule.mask.dtype == torch.bool else rule.mask == 0
    place = torch.arange(tokens) // block
    shard = visible[:, :, place][..., place]
    full = score.masked_fill(~seen, float("-inf")).softmax(-1)
    part = score.masked_fill(~(seen & shard), float("-inf")).softmax(-1)
    return (part @ value).transpose(1, 2), (full * shard).sum(-1)


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found.double(), wanted.double(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("rows", "heads", "kv", "tokens", "size"),
    [(1, 4, 4, 50, 8), (2, 6, 2, 33, 8), (1, 3, 1, 1, 8), (2, 5, 5, 16, 20), (1, 8, 2, 47, 5)],
)
@pytest.mark.parametrize("cap", [None, 2.0])
def test_outputs_are_those_of_the_whole_pattern(
    rows: int, heads: int, kv: int, tokens: int, size: int, cap: float | None, run: Run
) -> None:
    parts = inputs(rows, heads, kv, tokens, size)
    visible = shards(-(-tokens // BLOCK), heads, local=1, stride=4)[None]
    rule = Rule(0.5, cap)
    z, _ = whole(*parts, visible, BLOCK, rule)
    close(run(*parts, visible, BLOCK, rule).z, z)


@pytest.mark.parametrize("block", [1, 7, 16, 21, 40])
def test_blocks_of_any_size_give_the_same_as_the_whole_pattern(block: int, run: Run) -> None:
    parts = inputs(1, 4, 2, 40)
    visible = shards(-(-40 // block), 4, local=1, stride=3)[None]
    z, _ = whole(*parts, visible, block, Rule(0.7))
    close(run(*parts, visible, block, Rule(0.7)).z, z)


def test_shares_are_those_of_the_whole_pattern_where_they_are_asked_for() -> None:
    parts = inputs(2, 6, 2, 33)
    visible = shards(9, 6, local=1, stride=4)[None]
    rule = Rule(0.5, 2.0)
    found = sharded_attention(*parts, visible, BLOCK, rule, share=True)
    z, kept = whole(*parts, visible, BLOCK, rule)
    assert found.kept is not None
    close(found.kept, kept)
    close(found.z, z)
    assert kept.min() < 0.9
    assert sharded_attention(*parts, visible, BLOCK, rule).kept is None


def test_with_every_block_visible_it_is_ordinary_attention(run: Run) -> None:
    query, key, value = inputs(2, 4, 4, 40)
    every = torch.ones(1, 4, 5, 5, dtype=torch.bool)
    plain = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    close(run(query, key, value, every, 8, Rule(8**-0.5)).z, plain.transpose(1, 2))
    found = sharded_attention(query, key, value, every, 8, Rule(8**-0.5), share=True)
    assert found.kept is not None
    torch.testing.assert_close(found.kept, torch.ones_like(found.kept))


def test_the_models_own_mask_stays_in_force_as_bool_and_as_numbers(run: Run) -> None:
    query, key, value = inputs(1, 2, 2, 22)
    seen = torch.ones(22, 22, dtype=torch.bool).tril().triu(-6)[None, None]
    visible = shards(6, 2, local=2, stride=3)[None]
    least = torch.finfo(torch.float32).min
    for mask in (seen, torch.zeros(1, 1, 22, 22).masked_fill(~seen, least)):
        rule = Rule(0.4, mask=mask)
        z, _ = whole(query, key, value, visible, BLOCK, rule)
        close(run(query, key, value, visible, BLOCK, rule).z, z)


def test_a_mask_of_each_row_hides_its_padding_and_biases_are_added(run: Run) -> None:
    query, key, value = inputs(2, 4, 2, 21)
    seen = torch.ones(2, 1, 21, 21, dtype=torch.bool).tril()
    seen[1, ..., 15:] = False
    seen |= torch.eye(21, dtype=torch.bool)  # padding sees itself
    bias = torch.randn(1, 4, 21, 21, generator=torch.Generator().manual_seed(0))
    visible = shards(6, 4, local=1, stride=2)[None]
    rule = Rule(0.6, mask=seen, bias=bias)
    z, _ = whole(query, key, value, visible, BLOCK, rule)
    close(run(query, key, value, visible, BLOCK, rule).z, z)


def test_equal_scores_share_attention_evenly(run: Run) -> None:
    query, key, value = inputs(1, 2, 1, 18)
    visible = shards(5, 2, local=1, stride=2)[None]
    z, _ = whole(torch.zeros_like(query), key, value, visible, BLOCK, Rule(1.0))
    close(run(torch.zeros_like(query), key, value, visible, BLOCK, Rule(1.0)).z, z)


def test_rows_may_have_shards_of_their_own(run: Run) -> None:
    query, key, value = inputs(2, 2, 1, 20)
    visible = torch.stack([shards(5, 2, 1, 3), torch.ones(5, 5, dtype=torch.bool).expand(2, 5, 5)])
    found = run(query, key, value, visible, BLOCK, Rule(1.0)).z
    for row in range(2):
        each = slice(row, row + 1)
        alone = run(query[each], key[each], value[each], visible[each], BLOCK, Rule(1.0)).z
        close(found[row], alone[0])
    z, _ = whole(query, key, value, visible, BLOCK, Rule(1.0))
    close(found, z)


def test_queries_that_are_views_of_something_else_are_read_as_they_are(run: Run) -> None:
    generator = torch.Generator().manual_seed(3)
    stored = torch.randn(2, 18, 3, 4, 16, generator=generator)  # row, token, part, head, width
    query, key, value = (stored[:, :, at].transpose(1, 2)[..., ::2] for at in range(3))
    visible = shards(5, 4, local=1, stride=2)[None]
    z, _ = whole(query, key, value, visible, BLOCK, Rule(0.5))
    close(run(query, key, value, visible, BLOCK, Rule(0.5)).z, z)


def test_what_lies_in_hidden_blocks_is_never_read(run: Run, request: pytest.FixtureRequest) -> None:
    if "reference" in request.node.name:
        pytest.skip("the definition reads everything and hides it afterwards")
    query, key, value = inputs(1, 2, 2, 24)
    visible = torch.eye(6, dtype=torch.bool).expand(1, 2, 6, 6).clone()
    visible[:, :, 3:, 0] = True
    z, _ = whole(query, key, value, visible, BLOCK, Rule(0.5))
    key[:, :, 8:12], value[:, :, 8:12] = torch.nan, torch.nan  # block 2: for its own queries alone
    found = run(query, key, value, visible, BLOCK, Rule(0.5)).z
    others = torch.ones(24, dtype=torch.bool)
    others[8:12] = False
    close(found[:, others], z[:, others])


def test_memory_is_not_trusted_to_be_clean(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever new memory holds, NaN here, every number of the answer has been written."""
    parts = inputs(1, 4, 2, 37)
    visible = shards(10, 4, local=1, stride=3)[None]
    wanted = run(*parts, visible, BLOCK, Rule(0.5)).z.clone()

    def spoiled(made: Tensor) -> Tensor:
        return made.fill_(torch.nan) if made.is_floating_point() else made

    zeros, new_zeros = torch.zeros, Tensor.new_zeros
    monkeypatch.setattr(torch, "empty", lambda *size, **how: spoiled(zeros(*size, **how)))
    monkeypatch.setattr(
        Tensor, "new_empty", lambda self, *size, **how: spoiled(new_zeros(self, size, **how))
    )
    torch.testing.assert_close(run(*parts, visible, BLOCK, Rule(0.5)).z, wanted)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_comes_back_in_the_type_of_the_values(
    dtype: torch.dtype, run: Run, request: pytest.FixtureRequest
) -> None:
    interpreted = "triton" in request.node.name and not torch.cuda.is_available()
    if interpreted and dtype == torch.bfloat16:
        pytest.skip("Triton's interpreter takes the bits of bfloat16 for whole numbers; on a card")
    query, key, value = (part.to(dtype) for part in inputs(1, 4, 2, 30))
    parts = (query, key, value)
    visible = shards(8, 4, local=1, stride=3)[None]
    found = run(*parts, visible, BLOCK, Rule(0.5)).z
    assert found.dtype == dtype
    z, _ = whole(*parts, visible, BLOCK, Rule(0.5))
    torch.testing.assert_close(found.double(), z, atol=2e-2, rtol=2e-2)


def test_lists_hold_the_visible_blocks_in_order_and_their_own_last() -> None:
    visible = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    visible[0, 0, [0, 1, 2, 2, 3, 3, 3], [0, 1, 0, 2, 0, 2, 3]] = True
    order, there = lists(visible)
    assert order[0, 0].tolist() == [[0, 0, 0], [1, 1, 1], [2, 0, 2], [0, 2, 3]]
    assert there[0, 0].sum(-1).tolist() == [1, 1, 2, 3]
    assert there[..., -1].all()


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


def test_a_processor_takes_the_gathered_blocks_and_says_why() -> None:
    run, reason = implementation("sharded_attention", "cpu")
    assert run is blocks.run
    assert reason == "visible blocks alone are gathered, in plain torch"


def test_the_fused_path_is_there_without_triton_until_it_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)  # an import of it fails
    for name in ("head_stats", "sharded_attention"):
        monkeypatch.delitem(sys.modules, f"kernels.{name}.programs", raising=False)
    monkeypatch.setenv("EIDOSCOPE_KERNELS", "sharded_attention:triton")
    run, reason = implementation("sharded_attention", "cuda")
    assert reason == "EIDOSCOPE_KERNELS=sharded_attention:triton"
    with pytest.raises(ImportError, match="triton"):
        run(*inputs(1, 2, 2, 8), shards(2, 2, 1, 2)[None], BLOCK, Rule(1.0))
    with pytest.raises(ValueError, match="runs on cuda, not on cpu"):
        implementation("sharded_attention", "cpu")
