"""The model, dictionaries and tokens every candidate of `gallery` gets.

GPT-2 small in shape with random weights; a ReLU dictionary of its sixth block whose biases let
each feature fire on about 1 % of random tokens, and a wider TopK dictionary of the same place.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

LAYER, D_MODEL, D_VOCAB = 5, 768, 50_257
N_CONTEXTS, WINDOW = 8, 128
RELU, TOPK, K = 4_096, 24_576, 32
SHARE = 0.01
FEW, MORE = 16, 80  # features of SAEDashboard, from which the cost of one is known
FILE = "gallery-dictionary.safetensors"


def ids() -> np.ndarray:
    """Token ids [context, token] from a fixed seed."""
    shape = (N_CONTEXTS, WINDOW)
    return np.random.default_rng(1).integers(0, D_VOCAB - 1, shape).astype(np.int64)


def matrices(n: int) -> dict[str, torch.Tensor]:
    """A random dictionary of unit decoder rows, the encoder its transpose."""
    generator = torch.Generator().manual_seed(n)
    rows = torch.randn(n, D_MODEL, generator=generator)
    rows = rows / rows.norm(dim=1, keepdim=True)
    zeros = torch.zeros(n), torch.zeros(D_MODEL)
    return {"W_enc": rows.T.contiguous(), "W_dec": rows, "b_enc": zeros[0], "b_dec": zeros[1]}


def relu(folder: Path, stream: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    """The ReLU dictionary; its biases are made once, from a stream [token, d_model]."""
    path = folder / FILE
    if stream is not None:
        made = matrices(RELU)
        made["b_enc"] = -(stream @ made["W_enc"]).quantile(1 - SHARE, dim=0)
        save_file(made, path)
    return load_file(path)
