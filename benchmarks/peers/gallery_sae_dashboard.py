"""SAEDashboard on the same weights, dictionary and tokens. Run by benchmarks.gallery."""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from sae_dashboard.sae_vis_data import SaeVisConfig
from sae_dashboard.sae_vis_runner import SaeVisRunner
from sae_lens import HookedSAETransformer, StandardSAE, StandardSAEConfig
from transformer_lens import HookedTransformerConfig
from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights

from benchmarks.peers import gallery_shape as shape
from benchmarks.peers.worker import Arrays, serve

HOOK = f"blocks.{shape.LAYER}.hook_resid_post"


def main(threads: str, folder: str) -> None:
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    model, sae = _model(folder), _sae(Path(folder))
    tokens = torch.from_numpy(shape.ids())

    def dashboards(n: int) -> Any:
        config = SaeVisConfig(hook_point=HOOK, features=range(n), device="cpu")
        return SaeVisRunner(config).run(encoder=sae, model=model, tokens=tokens)

    serve(
        {
            "few": lambda: dashboards(shape.FEW),
            "more": lambda: dashboards(shape.MORE),
        },
        _shown,
        {"sae-dashboard": version("sae-dashboard"), "sae-lens": version("sae-lens")},
    )


def _model(folder: str) -> HookedSAETransformer:
    module = transformers.AutoModelForCausalLM.from_pretrained(folder)
    config = HookedTransformerConfig(
        n_layers=module.config.n_layer,
        d_model=shape.D_MODEL,
        n_ctx=module.config.n_positions,
        d_head=64,
        n_heads=module.config.n_head,
        d_mlp=4 * shape.D_MODEL,
        d_vocab=shape.D_VOCAB,
        act_fn="gelu_new",
        normalization_type="LN",
    )
    model = HookedSAETransformer(config)
    model.load_state_dict(convert_gpt2_weights(module, config), strict=False)
    model.set_tokenizer(transformers.AutoTokenizer.from_pretrained(folder))
    return model.eval()


def _sae(folder: Path) -> StandardSAE:
    made = shape.relu(folder)
    config = StandardSAEConfig(
        d_in=shape.D_MODEL, d_sae=shape.RELU, apply_b_dec_to_input=False, dtype="float32"
    )
    config.metadata.hook_name = HOOK
    sae = StandardSAE(config)
    sae.load_state_dict(made)
    return sae


def _shown(result: Any) -> Arrays:
    """Density and largest activation of the features it made."""
    told = result.feature_stats
    return {"density": np.array(told.frac_nonzero), "max": np.array(told.max)}


if __name__ == "__main__":
    main(*sys.argv[1:])
