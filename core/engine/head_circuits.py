"""The circuits of a head, W_V W_O and W_Q W_K^T, kept as thin factors [d, e] and [e, d].

Nothing here makes a d_model x d_model matrix of a head; norms, singular values and eigenvalues of
the product come from its d_head x d_head middle ("A Mathematical Framework for Transformer
Circuits", 2021).
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

# Eigenvalues below this share of the factors' size are rounding.
_NOTHING = 1e-8


def singular(
    a: Float[Tensor, "d_in d_head"], b: Float[Tensor, "d_head d_out"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Read vectors [d_head, d_in], values [d_head], written vectors [d_head, d_out] of a @ b.

    a @ b = sum_i values[i] x read[i] written[i]^T; values are largest first, vectors of length 1.
    """
    read, middle_a = torch.linalg.qr(a)
    written, middle_b = torch.linalg.qr(b.T)
    left, values, right = torch.linalg.svd(middle_a @ middle_b.T)
    return (read @ left).T, values, right @ written.T


def participation(values: Float[Tensor, "*draws rank"]) -> Float[Tensor, "*draws"]:
    """How many channels carry the circuit: (sum s^2)^2 / sum s^4, from 1 to their number."""
    power = values.double().square()
    share = power.sum(-1).square() / power.square().sum(-1).clamp_min(1e-300)
    return share.float()


def product_norm(a: Float[Tensor, "d_in d_head"], b: Float[Tensor, "d_head d_out"]) -> float:
    """Frobenius norm of a @ b."""
    return float(((a.T @ a) * (b @ b.T)).sum().clamp_min(0).sqrt())


def random_thin(
    a: Float[Tensor, "d_in d_head"], b: Float[Tensor, "d_head d_out"], n: int, seed: int
) -> tuple[Float[Tensor, "draw d_in d_head"], Float[Tensor, "draw d_head d_out"]]:
    """n seeded pairs of Gaussian factors whose products are as large as that of a and b."""
    generator = torch.Generator().manual_seed(seed)
    left = torch.randn(n, *a.shape, generator=generator).to(a)
    right = torch.randn(n, *b.shape, generator=generator).to(b)
    size = product_norm(a, b)
    for draw in range(n):
        left[draw] *= size / max(product_norm(left[draw], right[draw]), 1e-30)
    return left, right


def eigenvalue_score(
    v: Float[Tensor, "d_model d_head"],
    o: Float[Tensor, "d_head d_model"],
    spoken: Float[Tensor, "d_model d_model"],
) -> float:
    """Sum of the real parts over sum of the absolute values of the full circuit's eigenvalues.

    spoken  sum over tokens of unembedding row x embedding row: the non-zero eigenvalues of the
            [d_vocab, d_vocab] circuit embedding v o unembedding^T are those of o spoken v.
    +1 copies every token it reads, -1 works against it; NaN where it says nothing at all.
    """
    middle = (o @ spoken @ v).double().cpu()
    total, real = _eigenvalue_sums(middle)
    size = float(v.norm() * o.norm() * spoken.norm())
    return real / total if total > _NOTHING * size else float("nan")


def _eigenvalue_sums(middle: Float[Tensor, "d_head d_head"]) -> tuple[float, float]:
    """(sum of absolute values, sum of real parts) of a matrix' eigenvalues."""
    whole = middle.numpy()
    try:
        values = np.linalg.eigvals(whole)
    except np.linalg.LinAlgError:
        # Very many equal eigenvalues: the iteration ends once they differ in the tenth digit.
        noise = np.random.default_rng(0).standard_normal(whole.shape)
        values = np.linalg.eigvals(whole + 1e-10 * np.linalg.norm(whole) * noise)
    return float(np.abs(values).sum()), float(values.real.sum())


def reduced(a: Float[Tensor, "d_in d_head"], b: Float[Tensor, "d_head d_out"]) -> Tensor:
    """R b with a = QR, [d_head, d_out]: every norm of a @ b @ x is that of the result @ x."""
    return torch.linalg.qr(a, mode="r").R @ b


def composition(
    early: Float[Tensor, "early d_head d_model"], late: Float[Tensor, "late d_model d_head"]
) -> Float[Tensor, "early late"]:
    """|| M1 M2 || / (|| M1 || || M2 ||) of every pair, in Frobenius norms, 0 to 1.

    early, late  circuits that are reduced to their inner side: see `reduced`
    A circuit that is 0 composes with nothing.
    """
    size = early.shape[1]
    product = early.flatten(0, 1) @ late.transpose(0, 1).flatten(1)
    blocks = product.reshape(len(early), size, len(late), -1)
    joined = blocks.square().sum(dim=(1, 3)).sqrt()
    own = early.flatten(1).norm(dim=1)[:, None] * late.flatten(1).norm(dim=1)
    return joined / own.clamp_min(1e-30)
