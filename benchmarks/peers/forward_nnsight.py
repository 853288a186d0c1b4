"""nnsight: a trace that saves every residual stream. Run by benchmarks.forward."""

import sys
from importlib.metadata import version
from typing import Any

import nnsight
import torch
import transformers

from benchmarks.peers import forward_shape as shape
from benchmarks.peers.worker import Arrays, serve


def main(folder: str, threads: str) -> None:
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    module = transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa")
    model = nnsight.NNsight(module.eval())
    ids = torch.tensor([shape.token_ids()])

    def residuals() -> Any:
        with model.trace(ids, use_cache=False):
            stream = nnsight.save([])
            for block in model.transformer.h:
                stream.append(block.output)
            logits = model.output.logits.save()
        return logits, stream

    def forward() -> Any:
        with model.trace(ids, use_cache=False):
            logits = model.output.logits.save()
        return logits  # noqa: RET504  # set by the trace, which runs its body elsewhere

    serve(
        {"forward": forward, "residuals": residuals},
        _shown,
        {"nnsight": version("nnsight"), "torch": torch.__version__},
    )


def _shown(result: Any) -> Arrays:
    logits, stream = result
    return shape.numbers(logits, [part[0] if isinstance(part, tuple) else part for part in stream])


if __name__ == "__main__":
    main(*sys.argv[1:])
