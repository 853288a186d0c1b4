"""Top and bottom tokens per direction: against float64, odd sizes, ties, and which path ran."""

import sys
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from kernels.dispatch import choices, implementation
from kernels.lens_topk import Powers, blocks, lens_topk, reference

Found = tuple[Tensor, Tensor, Tensor, Tensor]
Run = Callable[[Tensor, Tensor, int], Found]
Powered = Callable[[Tensor, Tensor, int, Powers], Found]
NO_TRITON = "triton is not installed; `pip install triton` runs this in its interpreter"


@pytest.fixture(scope="module")
def fused() -> Iterator[ModuleType]:
    """The Triton path: on the card where there is one, else in Triton's interpreter."""
    with pytest.MonkeyPatch.context() as patch:
        if not torch.cuda.is_available():
            patch.setenv("TRITON_INTERPRET", "1")
        pytest.importorskip("triton", reason=NO_TRITON)
        # Past the import hook that checks shapes: it wraps functions, and Triton reads them.
        name = "kernels.lens_topk.triton"
        spec = spec_from_file_location(name, Path(blocks.__file__).with_name("triton.py"))
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        patch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(params=["reference", "blocks", "triton"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Each path, in tiles so small that every one of them has borders."""
    if request.param == "reference":
        monkeypatch.setattr(reference, "TILE", 900)
        return reference.run
    if request.param == "blocks":
        monkeypatch.setattr(blocks, "BLOCK", 8)
        monkeypatch.setattr(blocks, "FEW", 0)
        monkeypatch.setitem(blocks.SIZES, "cpu", blocks.Sizes(rows=3, panel=96, strip=32))
        monkeypatch.setitem(blocks.SIZES, "cuda", blocks.Sizes(rows=3, panel=96, strip=32))
        return blocks.run
    fused: ModuleType = request.getfixturevalue("fused")
    for name, size in {"ROWS": 3, "TOKENS": 160, "CHUNK": 64}.items():
        monkeypatch.setattr(fused, name, size)
    if not torch.cuda.is_available():
        return fused.run  # type: ignore[no-any-return]
    return lambda rows, words, k: _on_cpu(fused.run(rows.cuda(), words.cuda(), k))


@pytest.fixture
def powered(run: Run, request: pytest.FixtureRequest) -> Powered:
    """The same paths with sums of powers; on the card the sums are brought back."""
    if run.__name__ != "<lambda>":
        return run  # type: ignore[return-value]

    def there(rows: Tensor, words: Tensor, k: int, powers: Powers) -> Found:
        fused: ModuleType = request.getfixturevalue("fused")
        moved = Powers(powers.centre.cuda(), powers.sums.cuda())
        found = _on_cpu(fused.run(rows.cuda(), words.cuda(), k, moved))
        powers.sums.copy_(moved.sums)
        return found

    return there


def _on_cpu(found: Found) -> Found:
    top, top_ids, bottom, bottom_ids = (each.cpu() for each in found)
    return top, top_ids, bottom, bottom_ids


def brute_force(rows: Tensor, words: Tensor, k: int) -> Found:
    """Every score in float64, sorted in full; equal scores keep the order of their ids."""
    scores = rows.double() @ words.double().T
    high = scores.sort(dim=1, descending=True, stable=True)
    low = scores.sort(dim=1, stable=True)
    return high.values[:, :k], high.indices[:, :k], low.values[:, :k], low.indices[:, :k]


def check(found: Found, wanted: Found) -> None:
    """Ids equal; values as close as sums in float32 are."""
    for values, ids in ((0, 1), (2, 3)):
        assert found[values].dtype == torch.float32
        assert found[ids].dtype == torch.int64
        assert torch.equal(found[ids], wanted[ids])
        torch.testing.assert_close(found[values].double(), wanted[values], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("n", "d", "vocabulary", "k"),
    [(1, 3, 5, 5), (7, 33, 101, 10), (4, 16, 1000, 3), (5, 2, 1, 1), (3, 5, 61, 61), (2, 4, 96, 1)],
)
def test_it_equals_a_full_sort_in_float64(
    run: Run, n: int, d: int, vocabulary: int, k: int
) -> None:
    torch.manual_seed(n)
    rows, words = torch.randn(n, d), torch.randn(vocabulary, d)
    check(run(rows, words, k), brute_force(rows, words, k))


@pytest.mark.parametrize("seed", range(20))
def test_ties_go_to_the_lower_id_wherever_they_lie(run: Run, seed: int) -> None:
    """Small whole numbers: exact in every precision, and equal scores everywhere."""
    random = torch.Generator().manual_seed(seed)
    n, vocabulary, k = (
        int(torch.randint(*span, (), generator=random)) for span in ((1, 9), (20, 400), (1, 20))
    )
    rows = torch.randint(-2, 3, (n, 3), generator=random).float()
    rows[0] = 0  # a dead direction: every token ties, at both zeros
    words = torch.randint(-2, 3, (vocabulary, 3), generator=random).float()
    check(run(rows, words, k), brute_force(rows, words, k))


def test_the_two_zeros_are_one_value() -> None:
    scores = torch.tensor([[-1.0, -0.0, 0.0, -0.0, 0.0]])
    assert blocks.first(scores, 3)[1].tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(run: Run, dtype: torch.dtype) -> None:
    """A sum rounded to half precision could not tell these tokens apart."""
    torch.manual_seed(2)
    rows, words = torch.randn(5, 64).to(dtype), torch.randn(300, 64).to(dtype)
    check(run(rows, words, 10), brute_force(rows, words, 10))
    rounded = (rows.double() @ words.double().T).to(dtype)
    assert len(rounded[0].unique()) < len(words)


def test_views_that_are_not_contiguous_are_read_right(run: Run) -> None:
    torch.manual_seed(1)
    rows, words = torch.randn(8, 12).T, torch.randn(8, 240).T
    check(run(rows, words, 2), brute_force(rows, words, 2))
    spread, apart = torch.randn(10, 16)[::2, ::2], torch.randn(400, 16)[::2, ::2]
    check(run(spread, apart, 2), brute_force(spread, apart, 2))


def test_memory_that_was_not_cleared_is_never_read(run: Run) -> None:
    torch.manual_seed(3)
    rows, words = torch.randn(7, 6), torch.randn(205, 6)
    torch.use_deterministic_algorithms(True)
    try:  # every new tensor starts as not-a-number in this mode
        assert torch.empty(3).isnan().all()
        found = run(rows, words, 5)
    finally:
        torch.use_deterministic_algorithms(False)
    check(found, brute_force(rows, words, 5))


def test_no_directions_give_no_rows(run: Run) -> None:
    assert [tuple(each.shape) for each in run(torch.zeros(0, 4), torch.randn(9, 4), 3)] == [
        (0, 3)
    ] * 4


@pytest.mark.parametrize("path", ["reference", "lens_topk:blocks"])
@pytest.mark.parametrize("broken", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("tokens", [9, 4000])
def test_a_score_that_is_not_finite_is_refused(
    monkeypatch: pytest.MonkeyPatch, path: str, broken: float, tokens: int
) -> None:
    monkeypatch.setenv("EIDOSCOPE_KERNELS", path)
    rows, words = torch.randn(6, 4), torch.randn(tokens, 4)
    rows[3, 1] = broken
    with pytest.raises(ValueError, match="direction 3 are not all finite"):
        lens_topk(rows, words, 2)
    words[tokens - 1, 0] = broken
    with pytest.raises(ValueError, match="direction 0 are not all finite"):
        lens_topk(torch.ones(6, 4), words, 2)


def test_the_fused_path_shows_what_is_not_a_number(fused: ModuleType) -> None:
    rows, words = torch.ones(2, 3), torch.randn(90, 3)
    words[70, 1] = torch.nan
    device = "cuda" if torch.cuda.is_available() else "cpu"
    top, _, bottom, _ = fused.run(rows.to(device), words.to(device), 4)
    assert top[:, 0].isinf().all()
    assert bottom[:, 0].isinf().all()


def test_the_fused_path_refuses_a_list_too_long_for_it(fused: ModuleType) -> None:
    with pytest.raises(ValueError, match="up to 64 tokens, 65"):
        fused.run(torch.zeros(1, 2), torch.zeros(99, 2), 65)


@pytest.mark.parametrize("sizes", [(512, 51_200, 1_024), (4, 256, 128), (1, 1_024, 1_024)])
def test_the_size_of_the_tiles_changes_no_id(
    monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, int, int]
) -> None:
    """Real blocks of 128, panels with and without a part of a block at their end."""
    torch.manual_seed(4)
    for vocabulary in (3_000, 3_072, 2_945):
        rows, words = torch.randn(9, 24), torch.randn(vocabulary, 24)
        monkeypatch.setitem(blocks.SIZES, "cpu", blocks.Sizes(*sizes))
        for k in (1, 10, 40):
            check(blocks.run(rows, words, k), brute_force(rows, words, k))


@pytest.mark.parametrize(("n", "vocabulary"), [(1, 61), (7, 333), (0, 5)])
def test_sums_of_powers_are_those_of_all_scores(powered: Powered, n: int, vocabulary: int) -> None:
    torch.manual_seed(n)
    rows, words = torch.randn(n, 24), torch.randn(vocabulary, 24) + 3  # a mean that is not zero
    scores = rows.double() @ words.double().T
    powers = Powers(scores.mean(1).float(), torch.zeros(3, n, dtype=torch.float64))
    check(powered(rows, words, 2, powers), brute_force(rows, words, 2))
    apart = scores - powers.centre[:, None].double()
    wanted = torch.stack([apart.pow(power).sum(1) for power in (2, 3, 4)])
    torch.testing.assert_close(powers.sums, wanted, rtol=1e-4, atol=1e-3)


def test_padding_rows_never_win() -> None:
    words = torch.cat([torch.randn(20, 4), 100 * torch.ones(4, 4)])
    _, top, _, bottom = lens_topk(torch.tensor([[1.0, 1, 1, 1], [-1, -1, -1, -1]]), words, 3, 20)
    assert top.max() < 20
    assert bottom.max() < 20


def test_weights_that_ask_for_gradients_are_read_without() -> None:
    words = torch.nn.Parameter(torch.randn(30, 4))
    assert not lens_topk(words[:2], words, 3)[0].requires_grad


def test_a_k_beyond_the_vocabulary_is_refused() -> None:
    for k in (0, 10):
        with pytest.raises(ValueError, match=f"between 1 and 9, got {k}"):
            lens_topk(torch.zeros(2, 4), torch.randn(9, 4), k)
    with pytest.raises(ValueError, match="between 1 and 5, got 6"):
        lens_topk(torch.zeros(2, 4), torch.randn(9, 4), 6, 5)
    with pytest.raises(ValueError, match="has 9 rows, 12 were asked for"):
        lens_topk(torch.zeros(2, 4), torch.randn(9, 4), 3, 12)


def test_the_path_taken_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EIDOSCOPE_KERNELS", raising=False)
    run, reason = implementation("lens_topk", "cpu")
    assert (run, reason) == (blocks.run, "exact selection in two stages, in plain torch")
    assert implementation("lens_topk", "cuda")[0] is blocks.run
    assert implementation("lens_topk", "mps") == (reference.run, "no faster way for mps")
    monkeypatch.setenv("EIDOSCOPE_KERNELS", "reference")
    assert implementation("lens_topk", "cuda") == (reference.run, "EIDOSCOPE_KERNELS=reference")
    monkeypatch.delenv("EIDOSCOPE_KERNELS")
    assert ("lens_topk", "blocks", reason) in choices()


def test_the_path_told_is_the_path_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EIDOSCOPE_KERNELS", raising=False)
    ran = []
    for module in (blocks, reference):
        real = module.run
        monkeypatch.setattr(
            module, "run", lambda *what, real=real, module=module: ran.append(module) or real(*what)
        )
    lens_topk(torch.ones(1, 2), torch.randn(5, 2), 1)
    monkeypatch.setenv("EIDOSCOPE_KERNELS", "lens_topk:reference")
    lens_topk(torch.ones(1, 2), torch.randn(5, 2), 1)
    assert ran == [blocks, reference]


def test_what_is_asked_for_is_never_replaced_by_something_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EIDOSCOPE_KERNELS", "lens_topk:triton")
    with pytest.raises(ValueError, match="lens_topk:triton runs on cuda, not on cpu"):
        lens_topk(torch.ones(1, 2), torch.randn(5, 2), 1)
    for wrong in ("fastest", "lens_topk:fastest", "lens_topk", "other:reference"):
        monkeypatch.setenv("EIDOSCOPE_KERNELS", wrong)
        with pytest.raises(ValueError, match="the choices are reference, or of lens_topk:blocks"):
            implementation("lens_topk", "cpu")
    with pytest.raises(ValueError, match="no operation 'lens'"):
        implementation("lens", "cpu")


@pytest.mark.gpu
@pytest.mark.parametrize("path", ["reference", "lens_topk:blocks", "lens_topk:triton"])
def test_every_path_agrees_on_the_card(
    fused: ModuleType, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("EIDOSCOPE_KERNELS", path)
    torch.manual_seed(5)
    rows = torch.randn(5_000, 256, dtype=torch.bfloat16)
    words = torch.randn(70_001, 256, dtype=torch.bfloat16)
    found = _on_cpu(lens_topk(rows.cuda(), words.cuda(), 10))
    for values, ids, sign in ((0, 1, 1), (2, 3, -1)):
        scores = (rows[:64].double() @ words.double().T) * sign
        own = scores.gather(1, found[ids][:64])
        best = scores.topk(10).values
        torch.testing.assert_close(own, best, rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(found[values][:64].double() * sign, own, rtol=1e-4, atol=1e-3)
