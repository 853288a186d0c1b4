"""Eidoscope's engine and the plain Hugging Face model. Run by benchmarks.forward."""

import sys
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.peers import forward_shape as shape
from benchmarks.peers.worker import Arrays, serve
from core.engine.forward import Logits, run
from core.engine.rows import rows
from core.models.build import build
from core.models.library import open_model, transformers
from core.spec.request import ModelRef
from core.spec.site import site

EMBEDDING = site("L0.resid_pre")
STREAM = [site(f"L{layer}.resid_post") for layer in range(shape.N_LAYERS)]


def main(folder: str, threads: str) -> None:
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    serve(
        {**_plain(folder), **_ours(folder)},
        _shown,
        {"torch": torch.__version__, "transformers": transformers.__version__},
    )


def _ours(folder: str) -> dict[str, Callable[[], Any]]:
    ref = ModelRef(folder)
    loaded = build(open_model(ref, device="cpu"), ref)
    text = rows(loaded, [shape.token_ids()])

    def reading(logits: Logits) -> Callable[[], Any]:
        return lambda: run(loaded, text, read=[EMBEDDING, *STREAM], logits=logits)

    return {
        "forward": lambda: run(loaded, text),
        "residuals": reading("all"),
        "residuals_last": reading("last"),
        "residuals_only": reading("none"),
    }


def _plain(folder: str) -> dict[str, Callable[[], Any]]:
    """The library's own forward, on weights of its own: nothing of ours is attached to it."""
    ids = torch.tensor([shape.token_ids()])
    models = {
        kind: transformers.AutoModelForCausalLM.from_pretrained(
            folder, attn_implementation=kind, local_files_only=True
        ).eval()
        for kind in ("sdpa", "eager")
    }

    def hidden() -> Any:
        # The library applies the final norm to the last hidden state, so that one is caught.
        last: list[Any] = []
        catch = (
            models["sdpa"]
            .transformer.h[-1]
            .register_forward_hook(lambda *what: last.append(what[-1]))
        )
        output = models["sdpa"](ids, use_cache=False, output_hidden_states=True)
        catch.remove()
        return output.logits, [*output.hidden_states[1:-1], last[0]]

    return {
        "plain": lambda: models["sdpa"](ids, use_cache=False),
        "plain_eager": lambda: models["eager"](ids, use_cache=False),
        "hidden_states": hidden,
    }


def _shown(result: Any) -> Arrays:
    if isinstance(result, tuple):
        return shape.numbers(*result)
    return shape.numbers(result.logits, [result.values[place] for place in STREAM])


if __name__ == "__main__":
    main(*sys.argv[1:])
