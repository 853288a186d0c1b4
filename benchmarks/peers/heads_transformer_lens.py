"""TransformerLens: its head detector. Run by benchmarks.head_stats."""

import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformer_lens.head_detector import detect_head
from transformer_lens.model_bridge import TransformerBridge

from benchmarks.peers import heads_shape as shape
from benchmarks.peers.worker import Arrays, serve

NAMES = {
    "previous_token": "previous_token_head",
    "duplicate_token": "duplicate_token_head",
    "induction": "induction_head",
}


def main(folder: str, threads: str, embedded: str) -> None:
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    bridge = _bridge(folder, words=True)
    texts = [" ".join(f"w{number}" for number in row) for row in shape.ids().tolist()]
    calls: dict[str, Callable[[], Any]] = {
        "detect": lambda: [detected(bridge, text) for text in texts],
        "agree": lambda: [detected(_bridge(embedded, words=False), shape.TEXT)],
    }
    serve(calls, _shown, {"transformer-lens": version("transformer-lens")})


def _bridge(folder: str, *, words: bool) -> Any:
    module = transformers.AutoModelForCausalLM.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if words:  # the random model's vocabulary is w0, w1, w2 ... and splits nothing itself
        tokenizer.backend_tokenizer.pre_tokenizer = WhitespaceSplit()
    return TransformerBridge.boot_transformers(
        folder, hf_model=module.eval(), tokenizer=tokenizer, device="cpu"
    )


def detected(bridge: Any, text: str) -> dict[str, torch.Tensor]:
    """Its three detectors on one text, which share one cache, as its own users would call them."""
    tokens = bridge.to_tokens(text)
    if tokens.shape[1] < len(text.split()):
        raise SystemExit(f"the text has become {tokens.shape[1]} tokens")
    _, cache = bridge.run_with_cache(tokens, remove_batch_dim=True)
    return {
        kind: detect_head(bridge, text, name, cache=cache)  # type: ignore[arg-type]
        for kind, name in NAMES.items()
    }


def _shown(result: list[dict[str, torch.Tensor]]) -> Arrays:
    return {f"tl/{kind}": np.asarray(result[0][kind]) for kind in shape.KINDS}


if __name__ == "__main__":
    main(*sys.argv[1:])
