"""SAELens: its encode and decode. Run by benchmarks.features in an environment of its own."""

import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch
from sae_lens import StandardSAE, StandardSAEConfig, TopKSAE, TopKSAEConfig

from benchmarks.peers import features_shape as shape
from benchmarks.peers.worker import Arrays, serve


def main(threads: str) -> None:
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    sizes: dict[str, Any] = {"d_in": shape.D_IN, "d_sae": shape.N_FEATURES}
    sizes |= {"apply_b_dec_to_input": False}
    relu = _filled(StandardSAE(StandardSAEConfig(**sizes)))
    topk = _filled(TopKSAE(TopKSAEConfig(k=shape.K, rescale_acts_by_decoder_norm=False, **sizes)))
    x = {n: shape.tokens(n) for n in (256, 2_048)}
    found = topk.encode(x[256])
    calls: dict[str, Callable[[], Any]] = {
        "relu_256": lambda: relu.encode(x[256]),
        "topk_256": lambda: topk.encode(x[256]),
        "relu_2048": lambda: relu.encode(x[2_048]),
        "topk_2048": lambda: topk.encode(x[2_048]),
        "decode": lambda: topk.decode(found),
    }
    serve(calls, _shown, {"sae-lens": version("sae-lens")})


def _filled(sae: Any) -> Any:
    names = ("W_enc", "b_enc", "W_dec", "b_dec")
    for name, tensor in zip(names, shape.dictionary(), strict=True):
        getattr(sae, name).data.copy_(tensor)
    return sae.eval()


def _shown(result: torch.Tensor) -> Arrays:
    return {"values": result.numpy()}


if __name__ == "__main__":
    main(*sys.argv[1:])
