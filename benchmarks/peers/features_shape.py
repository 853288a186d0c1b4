"""What every candidate of `features` gets: a dictionary in the shape of those of GPT-2 small."""

import torch
from torch import Tensor

D_IN, N_FEATURES, K = 768, 24_576, 32
THRESHOLD = 0.5
SMALL = (192, 2_048, 16)  # the embedded model's dictionaries
LENGTH = 128  # tokens of a context


def dictionary(
    d_in: int = D_IN, n_features: int = N_FEATURES
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """W_enc, b_enc, W_dec, b_dec from a fixed seed; about 50 of 24,576 latents are above zero."""
    random = torch.Generator().manual_seed(0)
    encoder = torch.randn(d_in, n_features, generator=random) / d_in**0.5
    bias = torch.randn(n_features, generator=random) * 0.1 - 2.9
    decoder = torch.randn(n_features, d_in, generator=random) / d_in**0.5
    return encoder, bias, decoder, torch.zeros(d_in)


def tokens(n: int, d_in: int = D_IN) -> Tensor:
    return torch.randn(n, d_in, generator=torch.Generator().manual_seed(n))
