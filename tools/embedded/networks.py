"""The two network families of the embedded models, built as stock Transformers classes."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GPTNeoXConfig, LlamaConfig, PreTrainedModel

from tools.embedded.settings import BEGIN, CONTEXT, END, VOCABULARY, Plan

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model")


def build(plan: Plan) -> PreTrainedModel:
    """A freshly initialised float32 model of the plan; the plan's seed decides the weights."""
    shared = {
        "vocab_size": VOCABULARY,
        "hidden_size": plan.width,
        "intermediate_size": plan.mlp,
        "num_hidden_layers": plan.layers,
        "num_attention_heads": plan.heads,
        "max_position_embeddings": CONTEXT,
        "initializer_range": 0.02,
        "tie_word_embeddings": True,
        "bos_token_id": BEGIN,
        "eos_token_id": END,
        "attention_dropout": 0.0,
    }
    rope = {"rope_type": "default", "rope_theta": 10000.0}
    if plan.family == "llama":
        config = LlamaConfig(
            **shared, num_key_value_heads=plan.heads, rms_norm_eps=1e-5, rope_parameters=rope
        )
    elif plan.family == "gpt_neox":
        config = GPTNeoXConfig(
            **shared,
            hidden_dropout=0.0,
            use_parallel_residual=True,
            rope_parameters={**rope, "partial_rotary_factor": 1.0},
        )
    else:
        raise ValueError(f"no network family {plan.family!r}; known: llama, gpt_neox")
    torch.manual_seed(plan.seed)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def save(
    model: PreTrainedModel,
    folder: Path,
    tokenizer: Path,
    state: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write a plain Hugging Face folder in bf16; `state` replaces the weights that are written."""
    copy = type(model)(model.config)
    copy.load_state_dict(state if state is not None else model.state_dict())
    copy.to(torch.bfloat16)
    copy.generation_config.update(bos_token_id=BEGIN, eos_token_id=END, pad_token_id=END)
    folder.mkdir(parents=True, exist_ok=True)
    copy.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    for name in TOKENIZER_FILES:
        shutil.copyfile(tokenizer / name, folder / name)
