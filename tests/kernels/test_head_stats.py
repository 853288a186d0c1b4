"""What heads look at: against full patterns in float64, odd sizes, masks, and which path ran."""

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from kernels.dispatch import implementation
from kernels.head_stats import Scores, Stats, head_stats, pattern_stats, reference, targets
from kernels.head_stats.targets import Targets, after_same_two, at, back, equal

Run = Callable[[Tensor, Tensor, Scores, Targets, Tensor, int], Stats]
NO_TRITON = "triton is not installed; `pip install triton` runs this in its interpreter"
FOLDER = Path(reference.__file__).parent


@pytest.fixture(scope="module")
def fused() -> Iterator[ModuleType]:
    """The Triton path: on the card where there is one, else in Triton's interpreter."""
    with pytest.MonkeyPatch.context() as patch:
        if not torch.cuda.is_available():
            patch.setenv("TRITON_INTERPRET", "1")
        pytest.importorskip("triton", reason=NO_TRITON)
        # Past the import hook that checks shapes: it wraps functions, and Triton reads them.
        for name in ("programs", "triton"):
            where = f"kernels.head_stats.{name}"
            spec = spec_from_file_location(where, FOLDER / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            module = module_from_spec(spec)
            patch.setitem(sys.modules, where, module)
            spec.loader.exec_module(module)
        yield module


@pytest.fixture(params=["reference", "triton"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Each path, in chunks so small that every one of them has borders."""
    if request.param == "reference":
        monkeypatch.setitem(reference.AT_ONCE, "cpu", 400)
        monkeypatch.setattr(reference, "LEAST", 1)
        return reference.run
    fused: ModuleType = request.getfixturevalue("fused")
    monkeypatch.setattr(fused, "QUERIES", 16)
    monkeypatch.setattr(fused, "KEYS", 16)
    if not torch.cuda.is_available():
        return fused.run  # type: ignore[no-any-return]
    return lambda *what: Stats(*(each.cpu() for each in fused.run(*map(_on_card, what))))


def _on_card(what: object) -> object:
    if isinstance(what, Scores):
        moved = {name: _on_card(getattr(what, name)) for name in ("mask", "bias", "key_bias")}
        return replace(what, **moved)
    if isinstance(what, Targets):
        return what.to(torch.device("cuda"))
    return what.cuda() if isinstance(what, Tensor) else what


def naive(ids: Tensor, lengths: list[int]) -> dict[str, Tensor]:
    """[row, query, key] maps written out one pair at a time."""
    rows, tokens = ids.shape
    names = ("previous", "current", "first", "duplicate", "induction", "two")
    maps = {name: torch.zeros(rows, tokens, tokens, dtype=torch.double) for name in names}
    for row, length in enumerate(lengths):
        text = ids[row].tolist()
        for q in range(length):
            for k in range(q + 1):
                two = min(q, k - 1) >= 1 and text[k - 2] == text[q - 1]
                follows = k >= 1 and text[k - 1] == text[q]
                hits = (k == q - 1, k == q, k == 0 < q, k < q and text[k] == text[q], follows)
                for name, hit in zip(names, (*hits, follows and two), strict=True):
                    maps[name][row, q, k] = hit
    return maps


def kinds(ids: Tensor) -> dict[str, tuple]:
    return {
        "previous": back(ids, 1),
        "current": back(ids, 0),
        "first": at(ids, 0),
        "duplicate": equal(ids),
        "induction": equal(ids, behind=1),
        "two": after_same_two(ids),
    }


def texts(rows: int, tokens: int, words: int = 6) -> tuple[Tensor, list[int], Tensor]:
    """(ids, lengths, groups), the last row shorter where there is room."""
    ids = torch.randint(words, (rows, tokens))
    lengths = [tokens] * (rows - 1) + [max(1, tokens - 3)]
    groups = torch.ones(2, rows, tokens)
    groups[1, :, :3] = 0
    for row, length in enumerate(lengths):
        groups[:, row, length:] = 0
    return ids, lengths, groups


def full_pattern(query: Tensor, key: Tensor, scores: Scores) -> Tensor:
    """[row, head, query, key] in float64, the plainest way."""
    shared = query.shape[1] // key.shape[1]
    score = query.double() @ key.double().repeat_interleave(shared, 1).transpose(2, 3)
    score = score * scores.scaling
    if scores.cap is not None:
        score = scores.cap * (score / scores.cap).tanh()
    for extra in (scores.bias, None if scores.key_bias is None else scores.key_bias[:, :, None]):
        score = score if extra is None else score + extra.double()
    return score.masked_fill(~seen_by(scores, score), -math.inf).softmax(-1)


def seen_by(scores: Scores, score: Tensor) -> Tensor:
    seen = torch.ones(score.shape, dtype=torch.bool)
    if scores.causal:
        seen = seen.tril()
    if scores.mask is not None:
        mask = scores.mask
        seen = seen & (mask if mask.dtype == torch.bool else mask > -1e30)
    return seen


def check(found: Stats, pattern: Tensor, aims: Targets, maps: dict[str, Tensor], groups: Tensor):
    """Every sum equals that over the full pattern."""
    close = {"rtol": 1e-5, "atol": 1e-5}
    real, weight = groups[0].bool(), groups.double()
    tokens = pattern.shape[-1]
    for number, name in enumerate(aims.kinds):
        wanted = torch.einsum("rhqk,rqk->rh", pattern, maps[name])
        torch.testing.assert_close(found.target[:, number].double(), wanted, **close)
        assert aims.queries[number].tolist() == (maps[name].sum(-1) > 0).sum(-1).tolist()
    received = torch.einsum("rhqk,grq->rghk", pattern, weight)
    torch.testing.assert_close(found.received.double(), received, **close)
    ahead = (found.lag.shape[-1] - 1) // 2 if found.lag.shape[-1] == 11 else 0
    for place in range(found.lag.shape[-1]):
        lag = place - ahead
        if abs(lag) < tokens:
            band = pattern.diagonal(-lag, 2, 3)  # [row, head, query]
            asked = weight[:, :, max(lag, 0) : tokens + min(lag, 0)]
            wanted = torch.einsum("rhq,grq->rgh", band, asked)
            torch.testing.assert_close(found.lag[..., place].double(), wanted, **close)
    seen = (pattern > 0).any(1, keepdim=True).double()
    even = seen / seen.sum(-1, keepdim=True)
    uneven = torch.einsum("rhqk,grq->rgh", (pattern - even).abs(), weight) / 2
    torch.testing.assert_close(found.uneven.double(), uneven, **close)
    entropy, top = torch.special.entr(pattern).sum(-1), pattern.amax(-1)
    for got, want in ((found.entropy, entropy), (found.strongest, top)):
        both = (each.transpose(1, 2)[real].double() for each in (got, want))
        torch.testing.assert_close(*both, **close)
    assert torch.equal(found.visible[real].double(), seen.sum(-1)[:, 0][real])


def window(tokens: int, size: int) -> Tensor:
    near_enough = torch.ones(tokens, tokens, dtype=torch.bool).triu(1 - size)
    return (near_enough & near_enough.new_ones(tokens, tokens).tril())[None, None]


LOWEST = torch.finfo(torch.float32).min
CASES: dict[str, tuple[tuple[int, int, int, int, int], Callable[[int, int, int], Scores]]] = {
    "plain": ((2, 3, 3, 37, 8), lambda r, h, t: Scores(0.5)),
    "grouped keys": ((2, 6, 2, 21, 12), lambda r, h, t: Scores(0.5)),
    "soft cap": ((1, 2, 1, 18, 8), lambda r, h, t: Scores(2.0, cap=1.5)),
    "sliding window": ((2, 4, 2, 20, 16), lambda r, h, t: Scores(1.0, mask=window(t, 5))),
    "additive mask": (
        (2, 2, 2, 20, 16),
        lambda r, h, t: Scores(1.0, mask=torch.zeros(t, t).masked_fill(~window(t, 7), LOWEST)),
    ),
    "both sides, biased": (
        (2, 4, 2, 19, 8),
        lambda r, h, t: Scores(1.0, causal=False, bias=torch.randn(1, h, t, t)),
    ),
    "weights of keys": (
        (2, 4, 2, 17, 5),
        lambda r, h, t: Scores(1.0, key_bias=torch.randn(r, h, t)),
    ),
    "one head, one token": ((1, 1, 1, 1, 16), lambda r, h, t: Scores(1.0)),
    "two tokens": ((3, 2, 2, 2, 3), lambda r, h, t: Scores(1.0)),
}


@pytest.mark.parametrize("case", CASES)
def test_sums_equal_those_over_the_full_pattern_in_float64(run: Run, case: str) -> None:
    (rows, heads, shared, tokens, d_head), rule = CASES[case]
    torch.manual_seed(tokens)
    scores = rule(rows, heads, tokens)
    ids, lengths, groups = texts(rows, tokens)
    query = torch.randn(rows, tokens, heads, d_head).transpose(1, 2)  # not contiguous, as heads are
    key = torch.randn(rows, tokens, shared, d_head).transpose(1, 2)
    aims = targets(kinds(ids), lengths, causal=scores.causal)
    found = run(query, key, scores, aims, groups, 5)
    check(found, full_pattern(query, key, scores), aims, naive(ids, lengths), groups)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(
    run: Run, dtype: torch.dtype, request: pytest.FixtureRequest
) -> None:
    interpreted = "triton" in request.node.name and not torch.cuda.is_available()
    if interpreted and dtype == torch.bfloat16:
        pytest.skip("Triton's interpreter takes the bits of bfloat16 for whole numbers; on a card")
    torch.manual_seed(2)
    ids, lengths, groups = texts(1, 40)
    query, key = (torch.randn(1, 2, 40, 16).to(dtype) for _ in range(2))
    aims = targets(kinds(ids), lengths)
    found = run(query, key, Scores(0.25), aims, groups, 5)
    pattern = full_pattern(query, key, Scores(0.25))
    assert found.received.dtype == torch.float32
    check(found, pattern, aims, naive(ids, lengths), groups)


def test_the_control_of_many_queries_is_what_uniform_attention_gives() -> None:
    """Random keys of a head that looks one token back: their mean is targets over visible keys."""
    torch.manual_seed(1)
    tokens = 64
    ids = torch.randint(3, (6, tokens))
    aims = targets(kinds(ids), [tokens] * 6, seed=1)
    one = torch.eye(tokens).expand(6, 1, -1, -1).contiguous()
    before = torch.roll(one, 1, dims=3)  # the key at k is the query at k + 1
    found = head_stats(one, before, Scores(60.0), aims, torch.ones(1, 6, tokens), 1)
    assert float(found.target[0, 0, 0]) == pytest.approx(tokens - 1, abs=1e-3)
    expected = (aims.count / aims.visible).sum(-1)  # [kind, row]
    means = found.random[:, :, 0].T
    duplicate = aims.kinds.index("duplicate")
    ratio = float(means[duplicate].sum() / expected[duplicate].sum())
    assert 0.8 < ratio < 1.2


def test_the_size_of_the_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    ids, lengths, groups = texts(3, 50)
    query, key = torch.randn(3, 4, 50, 8), torch.randn(3, 2, 50, 8)
    monkeypatch.setattr(reference, "LEAST", 1)
    found = []
    for at_once, chunk in ((1, 64), (900, 7), (10**6, 50), (10**6, 64)):
        monkeypatch.setitem(reference.AT_ONCE, "cpu", at_once)
        monkeypatch.setattr(reference, "CHUNK", chunk)
        aims = targets(kinds(ids), lengths)
        found.append(reference.run(query, key, Scores(0.3), aims, groups, 9))
    for other in found[1:]:
        for name, one, two in zip(Stats._fields, found[0], other, strict=True):
            if name in ("entropy", "strongest", "visible"):
                continue  # of padded queries they mean nothing
            torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)


def test_no_attention_larger_than_a_chunk_is_ever_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = torch.softmax
    monkeypatch.setattr(
        torch, "softmax", lambda what, **more: made.append(what.numel()) or real(what, **more)
    )
    monkeypatch.setitem(reference.AT_ONCE, "cpu", 4_096)
    for tokens in (64, 512):
        ids, lengths, groups = texts(1, tokens, words=50)
        query, key = torch.randn(1, 2, tokens, 4), torch.randn(1, 1, tokens, 4)
        head_stats(query, key, Scores(0.5), targets(kinds(ids), lengths), groups, 9)
    assert max(made) <= max(4_096, 2 * reference.LEAST * 512)
    assert sum(made) > 2 * 512 * 512 / 2


def test_memory_that_was_not_cleared_is_never_read(run: Run) -> None:
    torch.manual_seed(3)
    ids, lengths, groups = texts(2, 20)
    query, key = torch.randn(2, 2, 20, 8), torch.randn(2, 2, 20, 8)
    torch.use_deterministic_algorithms(True)
    try:  # every new tensor starts as not-a-number in this mode
        assert torch.empty(3).isnan().all()
        found = run(query, key, Scores(0.5), targets(kinds(ids), lengths), groups, 5)
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(each.isfinite().all() for each in found)


def test_a_pattern_that_is_handed_out_gives_the_same_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(reference.AT_ONCE, "cpu", 400)
    monkeypatch.setattr(reference, "LEAST", 1)
    torch.manual_seed(5)
    ids, lengths, groups = texts(2, 30)
    query, key = torch.randn(2, 3, 30, 8), torch.randn(2, 3, 30, 8)
    weigh = torch.randn(2, 3, 30)
    pattern = full_pattern(query, key, Scores(0.5))
    aims = targets(kinds(ids), lengths)
    found = pattern_stats(pattern.float(), True, aims, groups, 5)
    check(found, pattern, aims, naive(ids, lengths), groups)
    weighed = pattern_stats(pattern.float(), True, aims, groups, 5, weigh)
    own = head_stats(query, key, Scores(0.5, key_bias=weigh), aims, groups, 5)
    for one, two in zip(weighed[:6], own[:6], strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)


def test_what_does_not_fit_together_is_refused() -> None:
    ids, lengths, groups = texts(2, 6)
    aims = targets(kinds(ids), lengths)
    key = torch.randn(2, 2, 6, 4)
    with pytest.raises(ValueError, match="3 query heads cannot share 2 key heads"):
        head_stats(torch.randn(2, 3, 6, 4), key, Scores(1.0), aims, groups)
    other = targets(kinds(ids[:1]), lengths[:1])
    with pytest.raises(ValueError, match=r"the targets are of \(1, 6\) rows and tokens"):
        head_stats(torch.randn(2, 4, 6, 4), key, Scores(1.0), other, groups)


def test_the_path_taken_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EIDOSCOPE_KERNELS", raising=False)
    run, reason = implementation("head_stats", "cpu")
    assert (run, reason) == (reference.run, "no faster way for cpu")
    assert implementation("head_stats", "cuda")[0] is reference.run
    monkeypatch.setenv("EIDOSCOPE_KERNELS", "head_stats:triton")
    with pytest.raises(ValueError, match="head_stats:triton runs on cuda, not on cpu"):
        implementation("head_stats", "cpu")


def test_the_path_told_is_the_path_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EIDOSCOPE_KERNELS", raising=False)
    ran = []
    real = reference.run
    monkeypatch.setattr(reference, "run", lambda *what: ran.append(1) or real(*what))
    ids, lengths, groups = texts(1, 4)
    aims = targets(kinds(ids), lengths)
    head_stats(torch.randn(1, 1, 4, 2), torch.randn(1, 1, 4, 2), Scores(1.0), aims, groups)
    assert ran == [1]


def test_the_fused_path_is_there_without_triton_until_it_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)  # an import of it fails
    monkeypatch.delitem(sys.modules, "kernels.head_stats.programs", raising=False)
    monkeypatch.setenv("EIDOSCOPE_KERNELS", "head_stats:triton")
    run, reason = implementation("head_stats", "cuda")
    assert reason == "EIDOSCOPE_KERNELS=head_stats:triton"
    ids, lengths, groups = texts(1, 4)
    one = torch.randn(1, 1, 4, 2)
    with pytest.raises(ImportError, match="triton"):
        run(one, one, Scores(1.0), targets(kinds(ids), lengths), groups, 1)


def test_the_fused_path_refuses_more_groups_than_it_has_room_for(fused: ModuleType) -> None:
    ids, lengths, groups = texts(1, 4)
    many = groups[:1].expand(17, -1, -1)
    one = torch.randn(1, 1, 4, 2)
    with pytest.raises(ValueError, match="up to 16 groups, not 17"):
        fused.run(one, one, Scores(1.0), targets(kinds(ids), lengths), many, 1)


@pytest.mark.gpu
@pytest.mark.parametrize("path", ["reference", "head_stats:triton"])
def test_both_paths_agree_on_the_card(
    fused: ModuleType, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("EIDOSCOPE_KERNELS", path)
    torch.manual_seed(5)
    ids, lengths, groups = texts(2, 1_000, words=400)
    query, key = torch.randn(2, 8, 1_000, 64), torch.randn(2, 2, 1_000, 64)
    aims = targets(kinds(ids), lengths)
    card = torch.device("cuda")
    found = head_stats(query.cuda(), key.cuda(), Scores(0.1), aims.to(card), groups.cuda(), 9)
    wanted = reference.run(query, key, Scores(0.1), aims, groups, 9)
    for one, two in zip(found[:5], wanted[:5], strict=True):
        torch.testing.assert_close(one.cpu(), two, rtol=1e-4, atol=1e-3)
