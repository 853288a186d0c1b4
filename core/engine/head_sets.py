"""Heads replaced in many rows at once, for the length of one `with` block.

An intervention is about one text; here a head of a whole corpus is given its mean over the corpus,
or what it holds in another text, and rows of one forward may have different heads replaced.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from core.engine.rows import Rows
from core.engine.units import through
from core.engine.writes import write_matrix
from core.models.loaded import Loaded
from core.spec.site import Site

# Heads z [row, token, head, d_head] of the rows -> what is put in their place, same shape.
Replace = Callable[[Tensor], Tensor]


def fixed(values: Float[Tensor, "head d_head"]) -> Replace:
    """The same for every token: zeros, or each head's mean over a corpus."""
    return lambda z: values.to(z).expand_as(z)


def donated(rows: Rows) -> Replace:
    """What the row before holds at the same token; behind its end it begins again."""
    lengths = torch.tensor(rows.lengths)
    donor = torch.arange(rows.n).roll(1)
    token = torch.arange(rows.ids.shape[1]) % lengths[donor][:, None]
    return lambda z: z[donor.to(z.device)[:, None], token.to(z.device)]


def tiled(rows: Rows, times: int) -> Rows:
    """The rows one after the other, `times` over."""
    targets = None if rows.targets is None else rows.targets.repeat(times, 1)
    return Rows(rows.ids.repeat(times, 1), rows.lengths * times, targets)


@contextmanager
def replaced(
    loaded: Loaded,
    layer: int,
    heads: Sequence[int],
    replace: Replace,
    n_rows: int,
    *,
    disguise: int | None = None,
    stack: str = "",
) -> Iterator[None]:
    """Run `tiled(rows, len(heads))` with head `heads[i]` of the layer replaced in copy i.

    disguise  a seed: the control instead, which moves the stream as far at every token, in a
              random direction inside another head (in front of a norm behind the attention)
    """
    shape = (len(heads), n_rows, -1, loaded.n_heads, loaded.d_head)
    moves = None
    if disguise is not None:
        moves = [disguises(loaded, layer, disguise, stack)[head] for head in heads]

    def act(values: Tensor) -> Tensor:
        z = values.clone().reshape(shape)
        for copy, head in enumerate(heads):
            new = replace(z[copy])[:, :, head]
            if moves is None:
                z[copy, :, :, head] = new
            else:
                other, move = moves[copy]
                z[copy, :, :, other] += move(new - z[copy, :, :, head])
        return z.reshape(values.shape)

    with through(loaded, {layer: act}, len(heads) * n_rows, stack, "head"):
        yield


# Shifts of a head [row, token, d_head] -> shifts of another that move the stream as far.
Disguise = tuple[int, Callable[[Tensor], Tensor]]


def disguises(loaded: Loaded, layer: int, seed: int, stack: str = "") -> list[Disguise]:
    """For each head of a layer another head (itself where it is alone), and how to move it."""
    write = write_matrix(loaded, Site(layer, "head", stack=stack))  # [head, d_head, d_model]
    generator = torch.Generator().manual_seed(seed * 9_973 + layer + 1)
    found = []
    for head in range(loaded.n_heads):
        steps = int(torch.randint(1, max(2, loaded.n_heads), (1,), generator=generator))
        other = (head + steps) % loaded.n_heads
        direction = torch.randn(loaded.d_head, generator=generator).to(write)
        direction = direction / torch.linalg.vector_norm(direction @ write[other]).clamp_min(1e-12)
        found.append((other, _as_far(write[head], direction)))
    return found


def _as_far(write: Tensor, direction: Tensor) -> Callable[[Tensor], Tensor]:
    def move(shift: Tensor) -> Tensor:
        far = torch.linalg.vector_norm(shift.float() @ write, dim=-1, keepdim=True)
        return (far * direction).to(shift)

    return move
