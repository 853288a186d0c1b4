"""One pass over the states of all layers: sums of each class, and one Gram matrix a layer.

`Moments` hold, for every layer, the mean of each cell (a class, a fold, a class in a fold), the
squared deviations from it channel by channel, and one matrix of products about the cell means.
From them follow standardising, ridge, LDA and the curvature of a logistic regression, for any
union of cells and any number of penalties. Two of them merge into those of both sets (Chan, Golub
and LeVeque, 1979), so that a large mean costs no digits and shards may come in any order.
"""

from jaxtyping import Float, Int64
from torch import Tensor

from kernels.class_moments.state import Moments, merge, new_moments
from kernels.dispatch import implementation

__all__ = ["Moments", "merge", "new_moments", "update"]


def update(
    moments: Moments, values: Float[Tensor, "layer item d"], cell: Int64[Tensor, " item"]
) -> None:
    """Take a batch of items into the moments, in place.

    values  [layer, item, d]  finite, of any floating type; the device of the moments
    cell    [item]            number of the item's cell, -1 for items that do not count
    """
    if values.shape[0] != moments.n_layers or values.shape[2] != moments.d:
        raise ValueError(
            f"values are {tuple(values.shape)}, the moments are of {moments.n_layers} layers, "
            f"{moments.d} channels"
        )
    if len(cell) and not -1 <= int(cell.min()) <= int(cell.max()) < moments.n_cells:
        raise ValueError(f"cells are numbers from -1 to {moments.n_cells - 1}")
    counted = cell >= 0
    if not bool(counted.all()):
        values, cell = values[:, counted], cell[counted]
    if not len(cell):
        return
    run, _ = implementation("class_moments", values.device.type)
    run(moments, values, cell)
