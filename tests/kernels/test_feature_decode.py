"""What codes write: against a dense product in float64, empty tokens, every precision."""

from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType

import pytest
import torch
from torch import Tensor

from kernels.dispatch import implementation
from kernels.feature_decode import decode, reference
from kernels.feature_topk import Codes, codes, from_dense

Run = Callable[[Codes, Tensor], Tensor]
NO_TRITON = "triton is not installed; `pip install triton` runs this in its interpreter"


@pytest.fixture(params=["reference", "triton"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Run:
    if request.param == "reference":
        monkeypatch.setattr(reference, "ENTRIES", 7)
        return reference.run
    fused: ModuleType = request.getfixturevalue("fused")
    monkeypatch.setattr(fused, "WIDTH", 16)
    if not torch.cuda.is_available():
        return fused.run
    return lambda found, weight: fused.run(_on_card(found), weight.cuda()).cpu()


@pytest.fixture(scope="module")
def fused() -> Iterator[ModuleType]:
    """The Triton path: on the card where there is one, else in Triton's interpreter."""
    with pytest.MonkeyPatch.context() as patch:
        if not torch.cuda.is_available():
            patch.setenv("TRITON_INTERPRET", "1")
        pytest.importorskip("triton", reason=NO_TRITON)
        yield import_module("kernels.feature_decode.triton")


def _on_card(found: Codes) -> Codes:
    return Codes(found.start.cuda(), found.feature.cuda(), found.value.cuda(), found.n_features)


def activations(n: int, features: int, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    dense = torch.randn(n, features, generator=random).sub(1).relu()
    dense[::3] = 0  # tokens without entries: the first, and with n = 7 the last
    return dense


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("n", "features", "d"), [(7, 40, 33), (1, 5, 1), (2, 3, 130), (10, 1, 8)])
def test_it_equals_the_dense_product(
    run: Run, dtype: torch.dtype, n: int, features: int, d: int
) -> None:
    torch.manual_seed(n)
    weight, dense = torch.randn(features, d).to(dtype), activations(n, features, n)
    written = run(from_dense(dense), weight)
    assert written.dtype == torch.float32
    torch.testing.assert_close(
        written.double(), dense.double() @ weight.double(), rtol=1e-5, atol=1e-5
    )
    assert (written[::3] == 0).all()


def test_values_beyond_the_range_of_half_precision_do_not_overflow(run: Run) -> None:
    found = codes(torch.tensor([0, 0]), torch.tensor([0, 1]), torch.tensor([1e5, 3e5]), 1, 2)
    weight = torch.tensor([[0.5, 1.0], [0.25, -1.0]], dtype=torch.float16)
    assert run(found, weight).tolist() == [[125_000.0, -200_000.0]]


def test_rows_that_are_not_contiguous_are_read_right(run: Run) -> None:
    dense, weight = activations(8, 12), torch.randn(30, 24).T[::2]
    torch.testing.assert_close(run(from_dense(dense), weight), dense @ weight, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_tokens_and_no_entries_write_nothing(run: Run, dtype: torch.dtype) -> None:
    weight = torch.randn(6, 5).to(dtype)
    assert run(from_dense(torch.zeros(0, 6)), weight).shape == (0, 5)
    assert run(from_dense(torch.zeros(3, 6)), weight).tolist() == [[0.0] * 5] * 3


def test_codes_of_another_dictionary_are_refused() -> None:
    with pytest.raises(ValueError, match="have 4 features, not 6"):
        decode(from_dense(torch.ones(1, 4)), torch.ones(6, 5))


def test_weights_that_ask_for_gradients_are_read_without() -> None:
    weight = torch.nn.Parameter(torch.randn(6, 5))
    assert not decode(from_dense(torch.ones(2, 6)), weight).requires_grad


def test_the_path_taken_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EIDOSCOPE_KERNELS", raising=False)
    assert implementation("feature_decode", "cpu") == (reference.run, "no faster way for cpu")
    assert implementation("feature_decode", "cuda")[0] is reference.run
