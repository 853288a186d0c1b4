"""A copy of a model whose block weights are rounded to fewer bits and computed with as before.

This is what storing weights in fewer bits loses, without a package that does the arithmetic in
them: per output row the largest absolute weight spans the whole numbers (8 bits: -127 to 127);
16 bits are bfloat16.
"""

import copy
import threading
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from core.models.loaded import Loaded, rebuilt

BITS = (16, 8, 4)
MOST = 500_000_000  # parameters that are held a second time


def squeezed(loaded: Loaded, bits: int) -> tuple[Loaded | None, str]:
    """The copy, or why there is none. Embeddings, norms and the unembedding stay as they are."""
    n = sum(parameter.numel() for parameter in loaded.module.parameters())
    if n > MOST:
        return None, (
            f"weights of {bits} bits left out: {n / 1e6:,.0f} million parameters would be held a "
            f"second time, which is done up to {MOST / 1e6:,.0f} million"
        )
    if getattr(loaded.module, "hf_device_map", None):
        return None, f"weights of {bits} bits left out: the model is spread over devices"
    module: Any = copy.deepcopy(loaded.module)
    twin = replace(rebuilt(loaded, module), memo={}, dictionaries={}, lock=threading.RLock())
    changed = False
    for stack in twin.stacks.values():
        for block in stack.blocks:
            changed |= _round(block.whole, bits)
    if not changed:
        return None, f"the block weights have {bits} bits or fewer as they are"
    return twin, ""


def _round(block: nn.Module, bits: int) -> bool:
    """Round every matrix of a block in place; whether any value moved."""
    moved = False
    for name, parameter in block.named_parameters():
        if parameter.ndim < 2:
            continue
        owner = block.get_submodule(name.rpartition(".")[0])
        # GPT-2 keeps [in, out]; a row of a matrix of experts is one of its last axes but one.
        across = 0 if type(owner).__name__ == "Conv1D" else -1
        rounded = rounded_to(parameter.data, bits, across)
        moved |= not torch.equal(rounded, parameter.data)
        parameter.data.copy_(rounded)
    return moved


def rounded_to(weight: Tensor, bits: int, across: int = -1) -> Tensor:
    """The nearest weights with so many bits, of the type they had; `across` is the input axis."""
    if bits == 16:
        return weight.bfloat16().to(weight.dtype)
    most = 2 ** (bits - 1) - 1
    wide = weight.float()
    step = wide.abs().amax(dim=across, keepdim=True) / most
    whole = (wide / step.clamp_min(torch.finfo(torch.float32).tiny)).round()
    return (whole * step).to(weight.dtype)
