"""Tiny random models of every family, as folders in the Hugging Face format.

Drawn with a seed, so two machines write the same bytes; drawn large enough that norms,
biases, caps, gates, windows and multipliers all change the answer.
"""

import copy
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.models.library import transformers
from tests.families import tokenizers
from tests.families.recipes import FAMILIES

# Standard deviations: what a matrix, an embedding, a bias and a norm weight are drawn with.
WEIGHT, EMBEDDING, BIAS, NORM = 0.25, 0.5, 0.2, 0.3


def make(family: str, folder: Path, *, shard: str = "100MB", **changes: Any) -> Path:
    """Write the tiny model `family` into `folder` and return the folder.

    `changes` overrides fields of the configuration (`num_hidden_layers=2`); `dtype="bfloat16"`
    stores the weights in that type; `shard="40KB"` splits them into files of that size.
    """
    recipe = FAMILIES[family]
    folder.mkdir(parents=True, exist_ok=True)
    dtype = getattr(torch, changes.pop("dtype", "float32"))
    # Copied: a configuration writes into the tables it is given.
    fields = copy.deepcopy({**recipe.fields, **changes})
    config = getattr(transformers, recipe.config)(**fields)
    with torch.random.fork_rng(devices=[]):
        model = getattr(transformers, recipe.model)(config)
    draw(model, seed=zlib.crc32(family.encode()))
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)
    tokenizers.write(recipe.tokenizer, folder)
    return folder


def draw(model: nn.Module, seed: int) -> None:
    """Give every parameter a seeded value; a norm weight stays around its own default."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            owner = model.get_submodule(name.rpartition(".")[0])
            noise = torch.randn(parameter.shape, generator=generator)
            if "Norm" in type(owner).__name__:
                # The default weight is one, or zero where the family adds one itself (Gemma).
                start = parameter if name.endswith("weight") else torch.zeros_like(parameter)
                parameter.copy_(start + NORM * noise)
            elif name.endswith("bias"):
                parameter.copy_(BIAS * noise)
            else:
                scale = EMBEDDING if isinstance(owner, nn.Embedding) else WEIGHT
                parameter.copy_(scale * noise)
