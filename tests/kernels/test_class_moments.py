"""Moments of cells against sums by hand in float64, on every path, in any order of merging."""

from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType

import pytest
import torch
from torch import Tensor

from kernels import class_moments
from kernels.class_moments import Moments, blocks, merge, new_moments, reference
from kernels.dispatch import implementation

NO_TRITON = "triton is not installed; `pip install triton` runs this in its interpreter"
Run = Callable[[Moments, Tensor, Tensor], None]


@pytest.fixture(scope="module")
def fused() -> Iterator[ModuleType]:
    """The Triton path: on the card where there is one, else in Triton's interpreter."""
    with pytest.MonkeyPatch.context() as patch:
        if not torch.cuda.is_available():
            patch.setenv("TRITON_INTERPRET", "1")
        pytest.importorskip("triton", reason=NO_TRITON)
        yield import_module("kernels.class_moments.triton")


@pytest.fixture(params=["reference", "blocks", "triton"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Each path, in pieces so small that every one of them has borders."""
    if request.param == "reference":
        return reference.run
    if request.param == "blocks":
        monkeypatch.setattr(blocks, "ROWS", 7)
        return blocks.run
    module: ModuleType = request.getfixturevalue("fused")
    monkeypatch.setattr(module, "TILE", 16)
    monkeypatch.setattr(module, "ROWS", 16)
    if not torch.cuda.is_available():
        return module.run

    def on_card(moments: Moments, values: Tensor, cell: Tensor) -> None:
        there = new_moments(moments.n_layers, moments.n_cells, moments.d, device="cuda")
        module.run(there, values.cuda(), cell.cuda())
        moments.take(*(part.cpu() for part in vars(there).values()))

    return on_card


def brute_force(values: Tensor, cell: Tensor, n_cells: int) -> Moments:
    """Cell by cell and item by item, in float64."""
    layers, _, d = values.shape
    found = new_moments(layers, n_cells, d)
    for layer, x in enumerate(values.double()):
        for number in range(n_cells):
            mine = x[cell == number]
            if not len(mine):
                continue
            found.n[number] = len(mine)
            found.mean[layer, number] = mine.mean(dim=0)
            for item in mine - mine.mean(dim=0):
                found.spread[layer, number] += item * item
                found.scatter[layer] += torch.outer(item, item)
    return found


def check(found: Moments, wanted: Moments, share: float = 1e-6) -> None:
    """Equal up to a share of the largest number that a sum of squares can reach."""
    assert torch.equal(found.n, wanted.n)
    torch.testing.assert_close(found.mean, wanted.mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.spread, wanted.spread, rtol=1e-9, atol=1e-12)
    size = wanted.scatter.diagonal(dim1=1, dim2=2).sqrt()
    limit = size[:, None] * size[:, :, None]
    assert bool(((found.scatter - wanted.scatter).abs() <= share * limit + 1e-20).all())


def made(
    layers: int, items: int, d: int, cells: int, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(items * d)
    values = torch.randn(layers, items, d, generator=random).to(dtype)
    return values, torch.randint(0, cells, (items,), generator=random)


@pytest.mark.parametrize(
    ("layers", "items", "d", "cells"),
    [(1, 1, 1, 1), (2, 33, 17, 3), (3, 5, 40, 7), (1, 50, 16, 2), (2, 16, 31, 1)],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_sums_are_those_by_hand_for_odd_sizes(
    run: Run, layers: int, items: int, d: int, cells: int, dtype: torch.dtype
) -> None:
    values, cell = made(layers, items, d, cells, dtype)
    found = new_moments(layers, cells, d)
    run(found, values, cell)
    check(found, brute_force(values, cell, cells))


def test_a_tiny_variance_on_a_large_mean_keeps_its_digits(run: Run) -> None:
    """In float32 alone the squares of the mean, 1e16, would leave nothing of a variance of 1."""
    values, cell = made(2, 60, 5, 2, torch.float64)
    values = (values + 1e8 * torch.arange(1, 6)).contiguous()
    found = new_moments(2, 2, 5)
    run(found, values, cell)
    check(found, brute_force(values, cell, 2))
    assert found.variance()[0, 0] == pytest.approx(float(values[0, :, 0].var(correction=0)))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2), (2, 3, 1, 0)])
def test_batches_and_merged_shards_give_the_whole_in_any_order(
    run: Run, order: tuple[int, ...]
) -> None:
    values, cell = made(2, 41, 9, 3)
    values += 100 * torch.arange(41)[:, None]  # shards of far-apart means
    cuts = [slice(0, 1), slice(1, 17), slice(17, 40), slice(40, 41)]
    wanted = brute_force(values, cell, 3)
    running, shards = new_moments(2, 3, 9), []
    for number in order:
        run(running, values[:, cuts[number]], cell[cuts[number]])
        own = new_moments(2, 3, 9)
        run(own, values[:, cuts[number]], cell[cuts[number]])
        shards.append(own)
    check(running, wanted)
    check(merge(merge(shards[0], shards[1]), merge(shards[2], shards[3])), wanted)


def test_merging_leaves_its_parts_as_they_were() -> None:
    values, cell = made(1, 8, 3, 2)
    one, other = new_moments(1, 2, 3), new_moments(1, 2, 3)
    class_moments.update(one, values[:, :4], cell[:4])
    class_moments.update(other, values[:, 4:], cell[4:])
    before = one.scatter.clone()
    merge(one, other)
    assert torch.equal(one.scatter, before)


def test_a_strided_view_gives_what_its_copy_gives(run: Run) -> None:
    values, cell = made(2, 34, 20, 3)
    view = values[:, ::2, 3:]
    found, wanted = new_moments(2, 3, 17), new_moments(2, 3, 17)
    run(found, view, cell[::2])
    run(wanted, view.contiguous(), cell[::2])
    for name, value in vars(found).items():
        assert torch.equal(value, getattr(wanted, name))


def test_the_whole_follows_from_the_cells() -> None:
    values, cell = made(2, 60, 6, 4)
    found = new_moments(2, 4, 6)
    class_moments.update(found, values, cell)
    x = values.double()
    torch.testing.assert_close(found.centre(), x.mean(dim=1))
    torch.testing.assert_close(found.variance(), x.var(dim=1, correction=0))
    apart = x - x.mean(dim=1, keepdim=True)
    torch.testing.assert_close(found.total(), apart.transpose(1, 2) @ apart, rtol=1e-5, atol=1e-5)
    kept = torch.tensor([True, False, True, False])
    some = x[:, kept[cell]]
    torch.testing.assert_close(found.centre(kept), some.mean(dim=1))
    torch.testing.assert_close(found.variance(kept), some.var(dim=1, correction=0))


def test_items_that_do_not_count_change_nothing() -> None:
    values, cell = made(1, 20, 4, 2)
    cell[::3] = -1
    values[:, ::3] = torch.nan
    found = new_moments(1, 2, 4)
    class_moments.update(found, values, cell)
    check(found, brute_force(values[:, cell >= 0], cell[cell >= 0], 2))
    class_moments.update(found, values[:, :0], cell[:0])
    assert found.n.sum() == (cell >= 0).sum()


@pytest.mark.parametrize(
    ("shape", "cells", "said"),
    [((2, 4, 3), [0, 1, 0, 2], "from -1 to 1"), ((1, 4, 3), [0] * 4, "of 2 layers")],
)
def test_what_does_not_fit_is_refused(shape: tuple[int, ...], cells: list[int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        class_moments.update(new_moments(2, 2, 3), torch.zeros(*shape), torch.tensor(cells))


def test_the_processor_takes_blocks_and_says_why() -> None:
    chosen, reason = implementation("class_moments", "cpu")
    assert chosen is blocks.run
    assert "float64" in reason
    assert implementation("class_moments", "cuda")[0] is reference.run
