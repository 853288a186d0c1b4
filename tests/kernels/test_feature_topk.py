"""Sparse codes of tokens: against float64, odd sizes, ties, and which path ran."""

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

from kernels.dispatch import choices, implementation
from kernels.feature_topk import Activation, Codes, blocks, encode, encoder, reference

Run = Callable[[Tensor, Tensor, Tensor, Activation, Tensor | None], Codes]
KINDS = ("relu", "jumprelu", "topk", "groupmax", "gated")
NO_TRITON = "triton is not installed; `pip install triton` runs this in its interpreter"


@pytest.fixture(scope="module")
def fused() -> Iterator[ModuleType]:
    """The Triton path: on the card where there is one, else in Triton's interpreter."""
    with pytest.MonkeyPatch.context() as patch:
        if not torch.cuda.is_available():
            patch.setenv("TRITON_INTERPRET", "1")
        pytest.importorskip("triton", reason=NO_TRITON)
        # Past the import hook that checks shapes: it wraps functions, and Triton reads them.
        for name in ("programs", "triton"):
            path = Path(blocks.__file__).with_name(f"{name}.py")
            spec = spec_from_file_location(f"kernels.feature_topk.{name}", path)
            assert spec is not None
            assert spec.loader is not None
            module = module_from_spec(spec)
            patch.setitem(sys.modules, spec.name, module)
            spec.loader.exec_module(module)
        yield module


@pytest.fixture(params=["reference", "blocks", "blocks, few tokens", "triton"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Each path, in tiles so small that every one of them has borders."""
    if request.param == "reference":
        monkeypatch.setattr(reference, "BLOCK", 300)
        return reference.run
    for module in (blocks, encoder):
        monkeypatch.setattr(module, "BLOCK", 8)
    monkeypatch.setattr(blocks, "FEW", 0 if request.param == "blocks" else 10**9)
    for device in ("cpu", "cuda"):
        monkeypatch.setitem(blocks.SIZES, device, blocks.Sizes(rows=3, held=288, strip=32))
    if request.param != "triton":
        return blocks.run
    fused: ModuleType = request.getfixturevalue("fused")
    sizes = {"ROWS": 5, "TOKENS": 16, "LATENTS": 32, "DEPTH": 16, "SLOTS": 3}
    for name, size in sizes.items():
        monkeypatch.setattr(fused, name, size)
    return on_card(fused.run)


def on_card(run: Run) -> Run:
    """The same on the card where there is one, its answer brought back; without groupmax."""

    def there(
        x: Tensor, weight: Tensor, bias: Tensor, act: Activation, lengths: Tensor | None
    ) -> Codes:
        if act.kind == "groupmax":
            pytest.skip("the fused path refuses groupmax, which a test below holds it to")
        if not torch.cuda.is_available():
            return run(x, weight, bias, act, lengths)
        parts = {name: getattr(act, name) for name in ("threshold", "r_mag", "b_mag")}
        moved = {name: part.cuda() for name, part in parts.items() if part is not None}
        lengths = None if lengths is None else lengths.cuda()
        found = run(x.cuda(), weight.cuda(), bias.cuda(), replace(act, **moved), lengths)
        return Codes(found.start.cpu(), found.feature.cpu(), found.value.cpu(), found.n_features)

    return there


def activation(kind: str, n: int, seed: int = 0) -> Activation:
    """One of each kind, its parameters small whole numbers and halves, exact in float16."""
    random = torch.Generator().manual_seed(seed)

    def numbers() -> Tensor:
        return torch.randint(-2, 3, (n,), generator=random) / 2

    match kind:
        case "jumprelu":
            return Activation("jumprelu", threshold=numbers())
        case "gated":
            return Activation("gated", r_mag=torch.zeros(n), b_mag=numbers())
        case "topk":
            return Activation("topk", max(1, n // 9))
        case "groupmax":
            groups = next(count for count in range(-(-n // 3), 0, -1) if n % count == 0)
            return Activation("groupmax", groups)
    return Activation("relu")


def brute_force(
    x: Tensor, weight: Tensor, bias: Tensor, act: Activation, lengths: Tensor | None
) -> Tensor:
    """Activations [token, feature] in float64, token by token."""
    free = x.double() @ weight.double()
    pre = free + bias.double()
    if lengths is not None:
        pre = pre * lengths.double()
    out = torch.zeros_like(pre)
    for row, own, bare in zip(out, pre.tolist(), free.tolist(), strict=True):
        ranked = sorted(range(len(own)), key=own.__getitem__, reverse=True)  # stable
        if act.kind == "topk":
            chosen = ranked[: act.k]
        elif act.kind == "groupmax":
            group = len(own) // act.k
            chosen = [next(at for at in ranked if at // group == g) for g in range(act.k)]
        elif act.kind == "jumprelu":
            assert act.threshold is not None
            chosen = [at for at in ranked if own[at] > act.threshold[at]]
        else:
            chosen = [at for at in ranked if own[at] > 0]
        for at in chosen:
            value = own[at]
            if act.kind == "gated":
                assert act.r_mag is not None
                assert act.b_mag is not None
                value = bare[at] * act.r_mag[at].double().exp() + act.b_mag[at]
                value = value if lengths is None else value * lengths[at]
            row[at] = max(0.0, float(value))
    return out


def check(found: Codes, wanted: Tensor) -> None:
    """Values as close as sums in float32 are, entries in the order that codes promise."""
    assert (found.start.dtype, found.feature.dtype, found.value.dtype) == (
        torch.int64,
        torch.int32,
        torch.float32,
    )
    assert (found.n_tokens, found.n_features) == wanted.shape
    assert int(found.start[-1]) == len(found.feature) == len(found.value)
    assert bool((found.value > 0).all())
    torch.testing.assert_close(found.dense().double(), wanted, rtol=1e-5, atol=1e-5)
    assert torch.equal(found.dense() > 0, wanted > 0)
    for token in range(found.n_tokens):
        own = slice(int(found.start[token]), int(found.start[token + 1]))
        falling = found.value[own].neg().tolist()
        entries = list(zip(falling, found.feature[own].tolist(), strict=True))
        assert entries == sorted(entries)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("n", "d", "features"), [(1, 3, 5), (7, 33, 205), (4, 16, 96), (2, 2, 1)])
def test_it_equals_float64(
    run: Run, kind: str, scaled: bool, n: int, d: int, features: int
) -> None:
    torch.manual_seed(n)
    x, weight, bias = torch.randn(n, d), torch.randn(d, features), torch.randn(features)
    lengths = torch.rand(features) + 0.1 if scaled else None
    act = activation(kind, features)
    check(run(x, weight, bias, act, lengths), brute_force(x, weight, bias, act, lengths))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_ties_go_to_the_lower_latent_wherever_they_lie(run: Run, kind: str, seed: int) -> None:
    """Small whole numbers: exact in every precision, and equal pre-activations everywhere."""
    random = torch.Generator().manual_seed(seed)
    n, features = (int(torch.randint(*s, (), generator=random)) for s in ((1, 9), (20, 200)))
    x = torch.randint(-2, 3, (n, 3), generator=random).float()
    x[0] = 0  # only the bias decides
    weight = torch.randint(-1, 2, (3, features), generator=random).float()
    bias = torch.randint(-1, 2, (features,), generator=random).float()
    act = activation(kind, features, seed=seed)
    wanted = brute_force(x, weight, bias, act, None)
    found = run(x, weight, bias, act, None)
    check(found, wanted)
    assert torch.equal(found.dense().double(), wanted)


def test_a_k_beyond_the_latents_keeps_all_that_fire(run: Run) -> None:
    x, weight, bias = torch.randn(4, 5), torch.randn(5, 40), torch.zeros(40)
    found = run(x, weight, bias, Activation("topk", 99), None)
    check(found, (x.double() @ weight.double()).relu())


def test_fewer_than_k_may_fire_and_none_at_all(run: Run) -> None:
    x = torch.tensor([[1.0], [-1.0], [1.0], [0.0]])
    weight = torch.tensor([[-1.0] * 30 + [2.0, 1.0]])
    found = run(x, weight, torch.zeros(32), Activation("topk", 4), None)
    assert found.start.tolist() == [0, 2, 6, 8, 8]
    assert found.feature.tolist() == [30, 31, 0, 1, 2, 3, 30, 31]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_summed_in_float32(run: Run, kind: str, dtype: torch.dtype) -> None:
    """Near its threshold a latent would fire or not by the rounding of a sum in half precision."""
    torch.manual_seed(2)
    x, weight, bias = torch.randn(5, 64), torch.randn(64, 300).to(dtype), torch.randn(300).to(dtype)
    act = activation(kind, 300)
    wanted = brute_force(x, weight, bias, act, None)
    check(run(x, weight, bias, act, None), wanted)
    rounded = brute_force(x.to(dtype), weight, bias, act, None).to(dtype)
    assert not torch.equal(rounded > 0, wanted > 0) or not torch.equal(rounded.double(), wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_views_that_are_not_contiguous_are_read_right(run: Run, kind: str) -> None:
    torch.manual_seed(1)
    x, weight, bias = torch.randn(12, 8).T, torch.randn(240, 12).T, torch.randn(480)[::2]
    act = activation(kind, 240)
    check(run(x, weight, bias, act, None), brute_force(x, weight, bias, act, None))


@pytest.mark.parametrize("kind", KINDS)
def test_memory_that_was_not_cleared_is_never_read(run: Run, kind: str) -> None:
    torch.manual_seed(3)
    x, weight, bias = torch.randn(7, 6), torch.randn(6, 205), torch.randn(205)
    act = activation(kind, 205)
    torch.use_deterministic_algorithms(True)
    try:  # every new tensor starts as not-a-number in this mode
        assert torch.empty(3).isnan().all()
        found = run(x, weight, bias, act, None)
    finally:
        torch.use_deterministic_algorithms(False)
    check(found, brute_force(x, weight, bias, act, None))


@pytest.mark.parametrize("kind", KINDS)
def test_no_tokens_give_no_entries(run: Run, kind: str) -> None:
    found = run(torch.zeros(0, 4), torch.randn(4, 12), torch.zeros(12), activation(kind, 12), None)
    assert found.start.tolist() == [0]
    assert (len(found.feature), len(found.value), found.n_features) == (0, 0, 12)


@pytest.mark.parametrize("kind", ["relu", "jumprelu", "topk", "gated"])
def test_a_token_that_is_not_a_number_has_no_entries_and_spoils_no_other(
    run: Run, kind: str
) -> None:
    torch.manual_seed(4)
    x, weight, bias = torch.randn(5, 6), torch.randn(6, 50), torch.randn(50)
    act = activation(kind, 50)
    whole = run(x, weight, bias, act, None)
    x[2, 1] = torch.nan
    counts, before = (c.start.diff() for c in (run(x, weight, bias, act, None), whole))
    before[2] = 0
    assert torch.equal(counts, before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(1_024, 10**6, 2_048), (4, 1_024, 128), (1, 1_024, 1_024)])
def test_the_size_of_the_tiles_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, kind: str, sizes: tuple[int, int, int]
) -> None:
    """Real blocks of 64, panels with and without a part of a block at their end."""
    torch.manual_seed(5)
    monkeypatch.setattr(blocks, "FEW", 0)
    monkeypatch.setitem(blocks.SIZES, "cpu", blocks.Sizes(*sizes))
    for features in (3_000, 3_072):
        x, weight = torch.randn(6, 24), torch.randn(24, features)
        bias, act = torch.randn(features), activation(kind, features)
        if kind == "topk":
            act = Activation("topk", 11)
        found = blocks.run(x, weight, bias, act, None)
        torch.testing.assert_close(
            found.dense(), reference.activations(x, weight, bias, act, None), rtol=1e-5, atol=1e-5
        )


def test_the_fused_path_refuses_what_it_does_not_know(fused: ModuleType) -> None:
    acts = (Activation("groupmax", 2), Activation("code", 2), Activation("pursuit", 2))
    for act in acts:
        with pytest.raises(ValueError, match=f"triton knows no {act.kind}"):
            fused.run(torch.ones(1, 2), torch.ones(2, 4), torch.ones(4), act, None)


@pytest.mark.parametrize("path", [reference.run, blocks.run])
def test_codes_are_one_each_also_below_zero_and_ties_go_to_the_lower(path: Run) -> None:
    x = torch.tensor([[1.0, 0.0], [0.0, 0.0], [torch.nan, 0.0]])
    weight = torch.tensor([[-1.0, -2.0, -1.0, -3.0], [0.0] * 4])
    found = path(x, weight, torch.zeros(4), Activation("code", 2), None)
    assert found.dense().tolist() == [[1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("path", [reference.run, blocks.run])
def test_a_pursuit_takes_off_what_it_chose(path: Run) -> None:
    """3 along the first, then 1 along the second; what no code points along takes none."""
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6], [1.0, 0.0]])
    x = torch.tensor([[3.0, 1.0], [-1.0, -1.0], [2.0, 0.0]])
    act = Activation("pursuit", 2, rows=rows)
    found = path(x, rows.T.contiguous(), torch.zeros(4), act, None)
    torch.testing.assert_close(
        found.dense(),
        torch.tensor([[3.0, 1.0, 0.0, 0.0], [0.0] * 4, [2.0, 0.0, 0.0, 0.0]]),
    )
    with pytest.raises(ValueError, match="no pursuit of latents weighed by their length"):
        path(x, rows.T.contiguous(), torch.zeros(4), act, torch.ones(4))


@pytest.mark.gpu
@pytest.mark.parametrize("path", ["reference", "feature_topk:blocks", "feature_topk:triton"])
@pytest.mark.parametrize("kind", ["relu", "jumprelu", "topk", "gated"])
def test_every_path_agrees_on_the_card(
    fused: ModuleType, monkeypatch: pytest.MonkeyPatch, path: str, kind: str
) -> None:
    monkeypatch.setenv("EIDOSCOPE_KERNELS", path)
    torch.manual_seed(6)
    x, weight = torch.randn(700, 96), torch.randn(96, 5_000) / 8
    bias, act = torch.randn(5_000) - 3, activation(kind, 5_000)
    if kind == "topk":
        act = Activation("topk", 20)
    found = on_card(encode)(x, weight, bias, act, None)
    wanted = reference.activations(x.double(), weight.double(), bias.double(), act, None)
    torch.testing.assert_close(found.dense(), wanted.float(), rtol=1e-4, atol=1e-3)


def test_weights_that_ask_for_gradients_are_read_without() -> None:
    weight = torch.nn.Parameter(torch.randn(4, 30))
    found = encode(torch.randn(3, 4), weight, torch.zeros(30), Activation("topk", 2))
    assert not found.value.requires_grad


def test_the_path_told_is_the_path_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EIDOSCOPE_KERNELS", raising=False)
    ran: list[ModuleType] = []

    def noted(module: ModuleType, real: Run) -> Run:
        def run(*given: Any) -> Codes:
            ran.append(module)
            return real(*given)

        return run

    for module in (blocks, reference):
        monkeypatch.setattr(module, "run", noted(module, module.run))
    given = torch.ones(1, 2), torch.randn(2, 9), torch.zeros(9), Activation("relu")
    encode(*given)
    monkeypatch.setenv("EIDOSCOPE_KERNELS", "feature_topk:reference")
    encode(*given)
    assert ran == [blocks, reference]


def test_the_path_taken_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EIDOSCOPE_KERNELS", raising=False)
    reason = "blocks that cannot fire are passed over, in plain torch"
    assert implementation("feature_topk", "cpu") == (blocks.run, reason)
    assert implementation("feature_topk", "cuda") == (blocks.run, reason)
    assert implementation("feature_topk", "mps")[0] is reference.run
    assert ("feature_topk", "blocks", reason) in choices()
    monkeypatch.setenv("EIDOSCOPE_KERNELS", "feature_topk:triton")
    with pytest.raises(ValueError, match="feature_topk:triton runs on cuda, not on cpu"):
        implementation("feature_topk", "cpu")
