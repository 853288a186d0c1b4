"""The model and the tokens every candidate of `forward` gets.

GPT-2 small in shape (12 layers, 768 wide, 50,257 tokens), random weights from a fixed seed.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

N_LAYERS, N_TOKENS, N_VOCAB = 12, 64, 50_257


def make(folder: Path) -> Path:
    """Write the model once, with a tokenizer of the same vocabulary size."""
    if (folder / "model.safetensors").exists():
        return folder
    from tokenizers import Tokenizer, models
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config()).save_pretrained(folder)
    words = {f"w{i}": i for i in range(N_VOCAB - 1)} | {"<|endoftext|>": N_VOCAB - 1}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<|endoftext|>"))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|endoftext|>", unk_token="<|endoftext|>"
    ).save_pretrained(folder)
    return folder


def token_ids() -> list[int]:
    """64 token ids from a fixed seed."""
    return [int(i) for i in np.random.default_rng(0).integers(0, N_VOCAB - 1, N_TOKENS)]


def numbers(logits: Any, stream: Any) -> dict[str, np.ndarray]:
    """logits [token, d_vocab] or [d_vocab]; stream: N_LAYERS tensors [1, token, d_model]."""
    found = {"logits": logits.detach().squeeze(0).float().numpy()}
    for layer, values in enumerate(stream):
        found[f"resid_post/{layer}"] = values.detach().reshape(-1, values.shape[-1]).float().numpy()
    return found
