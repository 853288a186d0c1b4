"""Scores of all heads over long texts, and the forward alone. Run by benchmarks.head_stats_long."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.peers import heads_ours, heads_shape
from benchmarks.peers.worker import serve
from core import api
from core.models.library import transformers

LENGTHS = (4_096, 8_192, 16_384)
HEADS, LAYERS, WORDS = 8, 2, 4_096


def main(folder: str, threads: str) -> None:
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    loaded = api.load(folder, device="cpu")
    plain = transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()

    def forward(ids: torch.Tensor) -> Any:
        return plain(ids, use_cache=False)

    def scored(ids: torch.Tensor) -> Any:
        return heads_ours.scored(loaded, ids, "none")

    calls: dict[str, Callable[[], Any]] = {}
    for tokens in LENGTHS:
        ids = torch.from_numpy(heads_shape.ids(1, tokens) % (WORDS - 1))
        calls[f"forward_{tokens}"] = partial(heads_ours.grown, forward, ids)
        calls[f"ours_{tokens}"] = partial(heads_ours.grown, scored, ids)
    serve(calls, lambda found: found, {"torch": torch.__version__})


def make(folder: Path) -> Path:
    """Write a small Llama of random weights once, with a tokenizer of its vocabulary."""
    if (folder / "model.safetensors").exists():
        return folder
    from tokenizers import Tokenizer, models

    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=WORDS,
        hidden_size=512,
        intermediate_size=1_024,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS // 4,
        max_position_embeddings=max(LENGTHS),
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    words = {f"w{i}": i for i in range(WORDS - 1)} | {"<|endoftext|>": WORDS - 1}
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="<|endoftext|>")),
        eos_token="<|endoftext|>",
        unk_token="<|endoftext|>",
    ).save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main(*sys.argv[1:])
