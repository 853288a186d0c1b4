"""Mean and Gram matrix of all layers in one launch each, without a float64 copy of the states.

One program owns a tile of the Gram matrix of one layer. It reads the states in their own type,
takes the cell mean off in float64, multiplies the deviations in float32 and adds the product of
each block of items to a float64 tile. Tiles above the diagonal are copied from below.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from kernels.class_moments.reference import of_cells
from kernels.class_moments.state import Moments

TILE = 64  # channels
ROWS = 64  # items of a block; powers of two, at least 16
WARPS = 4


def run(moments: Moments, values: Tensor, cell: Tensor) -> None:
    """See `kernels.class_moments.update`; cells are not negative."""
    layers, items, d = values.shape
    values = values.contiguous()
    n = torch.bincount(cell, minlength=moments.n_cells).double()
    sums = [of_cells(layer.double(), cell, len(n)) for layer in values]
    mean = (torch.stack(sums) / n.clamp_min(1)[:, None]).contiguous()
    tiles = -(-d // TILE)
    scatter = torch.empty(layers, d, d, dtype=torch.float64, device=values.device)
    spread = torch.zeros_like(mean)
    grid = (layers, tiles * (tiles + 1) // 2)
    cells = cell.to(torch.int32).contiguous()
    _kernel()[grid](values, cells, mean, scatter, items, d, len(n), TILE, ROWS, num_warps=WARPS)
    lower = scatter.tril()
    scatter = lower + lower.tril(-1).transpose(1, 2)
    for layer, x in enumerate(values):
        apart = x.double() - mean[layer][cell]
        spread[layer] = of_cells(apart * apart, cell, len(n))
    moments.take(n, mean, spread, scatter)


@cache
def _kernel() -> Any:
    """The program of one tile: values [layer, item, d], mean [layer, cell, d] to lower tiles of
    scatter [layer, d, d]. Triton is imported when this is first needed.
    """
    import triton
    import triton.language as tl

    def tile(
        values_ptr: "Any",
        cell_ptr: "Any",
        mean_ptr: "Any",
        scatter_ptr: "Any",
        items: "Any",
        d: "Any",
        n_cells: "Any",
        TILE: tl.constexpr,
        ROWS: tl.constexpr,
    ) -> None:
        layer = tl.program_id(0).to(tl.int64)
        place = tl.program_id(1)
        down = 0
        while (down + 1) * (down + 2) // 2 <= place:
            down += 1
        across = place - down * (down + 1) // 2
        one = down * TILE + tl.arange(0, TILE)
        two = across * TILE + tl.arange(0, TILE)
        values_ptr += layer * items * d
        mean_ptr += layer * n_cells * d
        total = tl.zeros((TILE, TILE), dtype=tl.float64)
        for start in range(0, items, ROWS):
            row = start + tl.arange(0, ROWS)
            there = row < items
            cell = tl.load(cell_ptr + row, mask=there, other=0)
            left_there = there[:, None] & (one < d)[None, :]
            right_there = there[:, None] & (two < d)[None, :]
            at = row.to(tl.int64)[:, None] * d
            left = tl.load(values_ptr + at + one[None, :], mask=left_there, other=0.0)
            right = tl.load(values_ptr + at + two[None, :], mask=right_there, other=0.0)
            middle = cell[:, None] * d
            left = left.to(tl.float64) - tl.load(
                mean_ptr + middle + one[None, :], mask=left_there, other=0.0
            )
            right = right.to(tl.float64) - tl.load(
                mean_ptr + middle + two[None, :], mask=right_there, other=0.0
            )
            left, right = tl.trans(left.to(tl.float32)), right.to(tl.float32)
            total += tl.dot(left, right, input_precision="ieee").to(tl.float64)
        here = (one < d)[:, None] & (two < d)[None, :]
        where = layer * d * d + one.to(tl.int64)[:, None] * d + two[None, :]
        tl.store(scatter_ptr + where, total, mask=here)

    return triton.jit(tile)
