"""What directions are made of: neurons that write them, tokens they raise and lower."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from core.analyses.runs import Progress
from core.engine.readout import reading_matrix
from core.engine.writes import neuron_writes
from core.models.loaded import Loaded
from core.models.tokens import known_ids, pieces
from core.spec.site import Site
from kernels.lens_topk import lens_topk

N_RANDOM = 16  # random directions behind every chance level


@dataclass(frozen=True)
class Parts:
    """Of each direction: its neurons and its tokens, best first, beside random directions.

    cosine [direction, k] signed; chance_cosine [direction]; raised, lowered [direction, k] logit
    per unit of length; chance_score [direction]. Empty where a model has no such thing.
    """

    neurons: tuple[tuple[str, ...], ...]
    raises: tuple[tuple[str, ...], ...]
    lowers: tuple[tuple[str, ...], ...]
    cosine: Tensor
    chance_cosine: Tensor
    raised: Tensor
    lowered: Tensor
    chance_score: Tensor


def made_of(
    loaded: Loaded,
    progress: Progress,
    directions: Float[Tensor, "layer d_model"],
    *,
    k: int = 8,
    seed: int = 0,
) -> Parts:
    """Parts of `directions` [layer, d_model], unit vectors; row l is about `L{l}.resid_post`.

    Neurons: largest |cosine| between the direction of layer l and what a neuron of layers 0 to l
    writes. Chance: the largest |cosine|, and the largest score, of a random unit direction, mean
    over 16.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(N_RANDOM, directions.shape[1], generator=generator)
    noise = noise / torch.linalg.vector_norm(noise, dim=-1, keepdim=True)
    with loaded.busy():
        neurons, cosine, chance = _neurons(loaded, progress, directions, noise, k)
        raises, lowers, raised, lowered, top = _tokens(loaded, directions, noise, k)
    return Parts(neurons, raises, lowers, cosine, chance, raised, lowered, top)


def _neurons(
    loaded: Loaded, progress: Progress, directions: Tensor, noise: Tensor, k: int
) -> tuple[tuple[tuple[str, ...], ...], Tensor, Tensor]:
    """(sites, cosine [layer, k], chance [layer]); running best over the layers below."""
    n_layers, stack = len(directions), loaded.prompt_stack
    if not loaded.d_mlp:
        return ((),) * n_layers, torch.zeros(n_layers, 0), torch.full((n_layers,), torch.nan)
    best, chance = [_Best(k) for _ in range(n_layers)], torch.zeros(n_layers)
    highest = torch.zeros(len(noise))
    for layer in range(n_layers):
        progress.check()
        write = neuron_writes(loaded, layer, stack)
        write = write / torch.linalg.vector_norm(write, dim=-1, keepdim=True).clamp_min(1e-12)
        both = torch.cat([directions[layer:], noise]).to(write)
        cosine = (
            write @ both.T
        ).T.cpu()  # [direction of this layer and above, then random; neuron]
        highest = torch.maximum(highest, cosine[n_layers - layer :].abs().amax(dim=-1))
        chance[layer] = highest.mean()
        for above, row in zip(best[layer:], cosine[: n_layers - layer], strict=True):
            above.add(layer, row, stack)
    return tuple(each.sites for each in best), torch.stack([e.values for e in best]), chance


class _Best:
    """The k neurons seen so far with the largest |cosine|."""

    def __init__(self, k: int) -> None:
        self.k = k
        self.values = torch.zeros(0)
        self.sites: tuple[str, ...] = ()

    def add(self, layer: int, cosine: Tensor, stack: str) -> None:
        """cosine [neuron] of the neurons of one more layer."""
        top = cosine.abs().topk(min(self.k, len(cosine))).indices
        values = torch.cat([self.values, cosine[top]])
        names = (*self.sites, *(str(Site(layer, "neuron", int(n), stack=stack)) for n in top))
        order = values.abs().argsort(descending=True, stable=True)[: self.k]
        self.values, self.sites = values[order], tuple(names[int(i)] for i in order)


def _tokens(
    loaded: Loaded, directions: Tensor, noise: Tensor, k: int
) -> tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...], Tensor, Tensor, Tensor]:
    """(raised tokens, lowered tokens, their scores [layer, k] twice, chance [layer])."""
    n = len(directions)
    if not readable(loaded):
        empty: tuple[tuple[str, ...], ...] = ((),) * n
        return empty, empty, torch.zeros(n, 0), torch.zeros(n, 0), torch.full((n,), torch.nan)
    words = known_ids(loaded)
    matrix = reading_matrix(loaded)
    both = torch.cat([directions, noise]).to(matrix)
    up, top, down, bottom = lens_topk(both, matrix, min(k, words), words)
    chance = up[n:, 0].mean().expand(n).cpu()
    return (
        _pieces(loaded, top[:n]),
        _pieces(loaded, bottom[:n]),
        up[:n].cpu(),
        down[:n].cpu(),
        chance,
    )


def readable(loaded: Loaded) -> bool:
    """Can directions in the stream that reads the prompt be read through an unembedding?"""
    return loaded.head is not None and not loaded.row.head and not loaded.prompt_stack


def _pieces(loaded: Loaded, ids: Tensor) -> tuple[tuple[str, ...], ...]:
    rows: Sequence[Sequence[int]] = ids.tolist()
    return tuple(pieces(loaded, row) for row in rows)
