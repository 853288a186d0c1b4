"""What the scores of heads would be by chance: tokens in random order, fresh weights."""

import copy
from dataclasses import replace

import torch

from core.analyses.head_texts import HeadTexts
from core.engine import attention
from core.engine.device import SMALL
from core.models.loaded import Loaded, rebuilt

N_NULL = 16  # texts


def shuffled_texts(loaded: Loaded, texts: HeadTexts, seed: int) -> HeadTexts:
    """The same tokens in random order; special tokens keep their places."""
    return texts.shuffled(set(loaded.tokenizer.all_special_ids), seed)


def untrained(loaded: Loaded, seed: int) -> tuple[Loaded | None, str]:
    """The same architecture with the weights it would begin training with, or why not.

    A module of its own is built from the configuration; the model's weights are not touched.
    """
    n = sum(parameter.numel() for parameter in loaded.module.parameters())
    if n > SMALL:
        return None, (
            f"untrained weights left out: {n / 1e6:,.0f} million parameters would be made a second "
            f"time, which is done up to {SMALL / 1e6:,.0f} million"
        )
    if getattr(loaded.module, "hf_device_map", None):
        return None, "untrained weights left out: the model is spread over devices"
    config = copy.deepcopy(loaded.module.config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = type(loaded.module)(config)
    first = next(loaded.module.parameters())
    module.to(device=first.device, dtype=first.dtype).eval().requires_grad_(False)
    attention.install(module)
    return replace(rebuilt(loaded, module), memo={}), ""
