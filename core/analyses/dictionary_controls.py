"""What a dictionary is held against: random rows of the same shapes, and its own rows shuffled."""

from dataclasses import replace

import torch
from torch import Tensor

from core.dictionaries.sparse import SparseDict
from kernels.feature_topk import Activation


def random_rows(n: int, width: int, generator: torch.Generator) -> Tensor:
    """n random directions of length one, [n, width] float32."""
    drawn = torch.randn(n, width, generator=generator)
    return drawn / drawn.norm(dim=1, keepdim=True).clamp_min(1e-12)


def rows_alike(rows: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """n Gaussian vectors with mean 0 and the covariance of rows [row, width]."""
    centred = (rows - rows.mean(0)).double()
    value, vector = torch.linalg.eigh(centred.T @ centred / max(1, len(rows) - 1))
    root = vector * value.clamp_min(0).sqrt()
    drawn = torch.randn(n, rows.shape[1], generator=generator)
    return drawn @ root.T.to(drawn)


def random_dictionary(book: SparseDict, k: int, seed: int) -> SparseDict:
    """Same shapes, biases and normalisation; unit decoder rows at random, encoder their transpose.

    k features a token, so that it has as much to write with. A transcoder between places of
    different width has an encoder drawn apart.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = random_rows(book.n_features, book.d_out, generator)
    same = book.d_in == book.d_out
    columns = rows if same else random_rows(book.n_features, book.d_in, generator)
    device = book.W_dec.device
    return replace(
        book,
        W_enc=columns.T.contiguous().to(device),
        b_enc=torch.zeros(book.n_features, device=device),
        W_dec=rows.to(device),
        act=Activation("topk", k=max(1, min(k, book.n_features))),
        pre_scale=False,
    )


def shuffled_dictionary(book: SparseDict, seed: int) -> SparseDict:
    """Its own features, each writing another one's row."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(book.n_features, generator=generator).to(book.W_dec.device)
    return replace(book, W_dec=book.W_dec[order])


def reads_alike(one: SparseDict, two: SparseDict) -> bool:
    """Do both find the same in any token? Rows count where latents are selected by their length."""
    same = one.W_enc is two.W_enc and one.b_enc is two.b_enc and one.act is two.act
    return same and (one.W_dec is two.W_dec or not (one.pre_scale or two.pre_scale))
