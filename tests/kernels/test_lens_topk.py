"""Top and bottom tokens per direction: against float64, odd sizes, ties, and which path ran."""

import pytest
import torch

from kernels.dispatch import choices, implementation
from kernels.lens_topk import lens_topk, reference


@pytest.mark.parametrize(
    ("n", "d", "vocabulary", "k"), [(1, 3, 5, 5), (7, 33, 101, 10), (64, 16, 1000, 3)]
)
def test_it_equals_a_full_sort_in_float64(n: int, d: int, vocabulary: int, k: int) -> None:
    torch.manual_seed(n)
    rows, words = torch.randn(n, d), torch.randn(vocabulary, d)
    top, top_ids, bottom, bottom_ids = lens_topk(rows, words, k)
    scores = rows.double() @ words.double().T
    wanted = scores.sort(dim=-1, descending=True)
    assert (top_ids == wanted.indices[:, :k]).all()
    assert (bottom_ids == scores.sort(dim=-1).indices[:, :k]).all()
    torch.testing.assert_close(top.double(), wanted.values[:, :k], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        bottom.double(), scores.sort(dim=-1).values[:, :k], rtol=1e-4, atol=1e-5
    )


def test_ties_go_to_the_lower_id() -> None:
    words = torch.tensor([[1.0], [2.0], [2.0], [0.0], [2.0], [0.0]])
    _, top, _, bottom = lens_topk(torch.ones(1, 1), words, 2)
    assert top.tolist() == [[1, 2]]
    assert bottom.tolist() == [[3, 5]]


def test_padding_rows_never_win() -> None:
    words = torch.cat([torch.randn(20, 4), 100 * torch.ones(4, 4)])
    _, top, _, bottom = lens_topk(torch.tensor([[1.0, 1, 1, 1], [-1, -1, -1, -1]]), words, 3, 20)
    assert top.max() < 20
    assert bottom.max() < 20


def test_the_tile_size_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    rows, words = torch.randn(50, 8), torch.randn(300, 8)
    whole = lens_topk(rows, words, 4)
    monkeypatch.setattr(reference, "TILE", 900)
    for one, other in zip(whole, lens_topk(rows, words, 4), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_views_that_are_not_contiguous_are_read_right() -> None:
    torch.manual_seed(1)
    rows, words = torch.randn(8, 12).T, torch.randn(8, 40).T
    _, top, _, _ = lens_topk(rows, words, 2)
    assert (top == lens_topk(rows.contiguous(), words.contiguous(), 2)[1]).all()


def test_no_directions_give_no_rows() -> None:
    assert lens_topk(torch.zeros(0, 4), torch.randn(9, 4), 3)[0].shape == (0, 3)


def test_too_large_a_k_is_refused() -> None:
    with pytest.raises(ValueError, match="between 1 and 9"):
        lens_topk(torch.zeros(2, 4), torch.randn(9, 4), 10)


def test_the_path_taken_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    run, reason = implementation("lens_topk", "cpu")
    assert run is reference.run
    assert reason
    monkeypatch.setenv("EIDOSCOPE_KERNELS", "reference")
    assert implementation("lens_topk", "cuda") == (reference.run, "EIDOSCOPE_KERNELS=reference")
    monkeypatch.setenv("EIDOSCOPE_KERNELS", "fastest")
    with pytest.raises(ValueError, match="the only choice"):
        implementation("lens_topk", "cpu")
    monkeypatch.delenv("EIDOSCOPE_KERNELS")
    assert [name for name, *_ in choices()] == ["lens_topk", "top_examples"]
