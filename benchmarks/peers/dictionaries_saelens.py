"""SAELens itself on small dictionaries. Run in its own environment, by tests/core/test_saelens.py.

`make FOLDER`: one folder for each of its architectures, with what its encode and decode give.
`open FOLDER`: for every folder there that holds x.npy, what SAELens makes of it, in found.npz.
"""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sae_lens import SAE
from sae_lens.registry import get_sae_class

D_IN, D_OUT, WIDTH, TOKENS = 8, 6, 24, 12
NORMS = ("constant_norm_rescale", "layer_norm")
# name: (architecture, further settings)
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "standard": ("standard", {}),
    "standard-without-bias": ("standard", {"apply_b_dec_to_input": False}),
    "gated": ("gated", {}),
    "jumprelu": ("jumprelu", {"apply_b_dec_to_input": False}),
    "topk": ("topk", {"k": 4}),
    "topk-by-length": ("topk", {"k": 4, "rescale_acts_by_decoder_norm": True}),
    "heads": ("standard", {"reshape_activations": "hook_z"}),
    **{norm: ("standard", {"normalize_activations": norm}) for norm in NORMS},
    "transcoder": ("transcoder", {}),
    "skip_transcoder": ("skip_transcoder", {}),
    "jumprelu_transcoder": ("jumprelu_transcoder", {}),
    "jumprelu_skip_transcoder": ("jumprelu_skip_transcoder", {}),
}


def make(folder: Path) -> None:
    for number, (name, (architecture, more)) in enumerate(CASES.items()):
        torch.manual_seed(number)
        transcoder = "transcoder" in architecture
        settings: dict[str, Any] = {"d_in": D_IN, "d_sae": WIDTH, **more}
        if transcoder:
            settings |= {"d_out": D_OUT, "apply_b_dec_to_input": False}
        kind, config_class = get_sae_class(architecture)
        config = config_class(**settings)
        hook = "attn.hook_z" if name == "heads" else "hook_resid_post"
        config.metadata.hook_name = "blocks.1.mlp.hook_in" if transcoder else f"blocks.1.{hook}"
        if transcoder:
            config.metadata.hook_name_out = "blocks.1.hook_mlp_out"
        config.metadata.model_name = "small"
        config.metadata.context_size = 64
        dictionary = kind(config)
        with torch.no_grad():
            for key, parameter in sorted(dictionary.named_parameters()):
                parameter.copy_(0.4 * torch.randn_like(parameter))
                if key == "threshold":
                    parameter.abs_()
        dictionary.save_model(folder / name)
        x = torch.randn(TOKENS, D_IN)
        np.savez(folder / name / "expected.npz", x=x.numpy(), **told(dictionary, x))


def told(dictionary: Any, x: torch.Tensor) -> dict[str, np.ndarray]:
    """Activations and reconstruction; a skip connection is in the whole forward only."""
    with torch.no_grad():
        if dictionary.cfg.reshape_activations == "hook_z":
            x = x.reshape(len(x), 2, -1)
        codes = dictionary.encode(x)
        rebuilt = dictionary.forward(x).reshape(len(x), -1)
    return {"codes": codes.numpy(), "rebuilt": rebuilt.numpy()}


def read(folder: Path) -> None:
    for path in sorted(folder.glob("*/x.npy")):
        dictionary = SAE.load_from_disk(str(path.parent), device="cpu")
        x = torch.from_numpy(np.load(path))
        hook = np.array(dictionary.cfg.metadata.hook_name)
        np.savez(path.parent / "found.npz", hook=hook, **told(dictionary, x))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    {"make": make, "open": read}[sys.argv[1]](Path(sys.argv[2]))
