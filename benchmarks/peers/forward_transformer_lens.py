"""TransformerLens: `run_with_cache` of its bridge. Run by benchmarks.forward."""

import sys
from importlib.metadata import version
from typing import Any

import torch
import transformers
from transformer_lens.model_bridge import TransformerBridge

from benchmarks.peers import forward_shape as shape
from benchmarks.peers.worker import Arrays, serve

RESIDUALS = [f"blocks.{layer}.hook_resid_post" for layer in range(shape.N_LAYERS)]


def main(folder: str, threads: str) -> None:
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    module = transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    bridge = TransformerBridge.boot_transformers(
        folder, hf_model=module.eval(), tokenizer=tokenizer, device="cpu"
    )
    ids = torch.tensor([shape.token_ids()])

    def shown(result: Any) -> Arrays:
        logits, cache = result
        return shape.numbers(logits, [cache[name] for name in RESIDUALS])

    serve(
        {
            "forward": lambda: bridge(ids),
            "everything": lambda: bridge.run_with_cache(ids),
            "residuals": lambda: bridge.run_with_cache(ids, names_filter=RESIDUALS),
        },
        shown,
        {"transformer-lens": version("transformer-lens"), "torch": torch.__version__},
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
