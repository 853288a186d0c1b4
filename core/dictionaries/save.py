"""Writing a dictionary in the layout of SAELens >= 6: cfg.json and sae_weights.safetensors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from core import home
from core.dictionaries import codebook, fold
from core.dictionaries.formats import opened
from core.dictionaries.sparse import SparseDict
from core.models.folders import appearing
from core.models.header import shown
from core.spec.errors import Error
from core.spec.site import Site

# TransformerLens' names of sites; where it has none, ours is kept.
HOOKS = {
    "resid_pre": "hook_resid_pre",
    "resid_mid": "hook_resid_mid",
    "resid_post": "hook_resid_post",
    "attn_out": "hook_attn_out",
    "mlp_in": "mlp.hook_in",
    "mlp_out": "hook_mlp_out",
    "head": "attn.hook_z",
    "neuron": "mlp.hook_post",
    "gate": "mlp.hook_pre",
    "up": "mlp.hook_pre_linear",
}
NORMS = {"none": "none", "rms": "constant_norm_rescale", "layernorm": "layer_norm"}
VERSION = "6.54.12"  # of SAELens, whose reader takes a table without a version for an old one


def save(
    dictionary: SparseDict, folder: str | Path, *, density: np.ndarray | None = None
) -> SparseDict:
    """Write it into a folder that does not exist yet, and open what was written.

    Fixed scales, and biases that SAELens cannot hold apart, are folded into the weights; the
    activations stay. Codebooks have a layout of their own. `density` [feature], shares of tokens,
    becomes sparsity.safetensors. Raises `Error` for what the layout cannot say.
    """
    if home.hosted():
        raise Error("this server writes no dictionaries; run Eidoscope on your own machine")
    coded = dictionary.act.kind in codebook.KINDS
    found = dictionary if coded else _sayable(dictionary)
    target = Path(folder).expanduser()
    if target.exists():
        raise Error(f"{shown(str(target))} exists already and is not overwritten")
    with appearing(target) as part:
        part.mkdir(parents=True)
        config = codebook.config_of(found) if coded else config_of(found)
        (part / "cfg.json").write_text(json.dumps(config, indent=1))
        if coded:
            save_file(codebook.tensors_of(found), part / codebook.WEIGHTS)
        else:
            save_file(tensors_of(found), part / "sae_weights.safetensors")
        if density is not None:
            log = torch.log10(torch.tensor(np.asarray(density), dtype=torch.float32) + 1e-10)
            save_file({"sparsity": log}, part / "sparsity.safetensors")
    return opened(target, dictionary.name)


def hook_name(place: Site) -> str:
    """A site in TransformerLens' words where it has some."""
    if place.stack or place.component not in HOOKS:
        return str(place)
    return f"blocks.{place.layer}.{HOOKS[place.component]}"


def _sayable(found: SparseDict) -> SparseDict:
    if found.act.kind == "groupmax":
        raise Error(f"{found.name}: SAELens has no architecture with one winner in each group")
    if found.transcoder and found.act.kind not in ("relu", "jumprelu"):
        raise Error(f"{found.name}: SAELens has no {found.act.kind} transcoder")
    found = fold.without_pre_scale(fold.without_scale(found))
    if found.W_skip is not None and found.norm.kind != "none":
        raise Error(f"{found.name}: SAELens has no skip connection of normalised activations")
    if found.W_skip is not None and not found.transcoder:
        raise Error(f"{found.name}: SAELens has skip connections in transcoders only")
    if found.transcoder or not fold.same_biases(found):
        found = fold.without_input_bias(found)
    return found


def architecture(found: SparseDict) -> str:
    """What SAELens calls it."""
    if not found.transcoder:
        return {"relu": "standard"}.get(found.act.kind, found.act.kind)
    skip = "skip_" if found.W_skip is not None else ""
    return f"{'jumprelu_' if found.act.kind == 'jumprelu' else ''}{skip}transcoder"


def config_of(found: SparseDict) -> dict[str, Any]:
    """cfg.json of a dictionary that the layout can say."""
    about: dict[str, Any] = {
        "sae_lens_version": VERSION,
        "model_name": found.about.model,
        "hook_name": hook_name(found.site),
        "hook_head_index": None,
        "context_size": found.about.context or None,
        "model_from_pretrained_kwargs": {"center_writing_weights": True} if found.center else {},
    }
    table: dict[str, Any] = {
        "architecture": architecture(found),
        "d_in": found.d_in,
        "d_sae": found.n_features,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": found.b_in is not None,
        "normalize_activations": NORMS[found.norm.kind],
        "reshape_activations": "hook_z" if found.heads else "none",
        "metadata": about,
    }
    if found.act.kind == "topk":
        table |= {"k": found.act.k, "rescale_acts_by_decoder_norm": found.pre_scale}
    if found.transcoder:
        table["d_out"] = found.d_out
        about["hook_name_out"] = hook_name(found.out_site)
    return table


def tensors_of(found: SparseDict) -> dict[str, Tensor]:
    """Its tensors as SAELens names them, float32 on the CPU."""
    act = found.act
    tensors: dict[str, Tensor | None] = {
        "W_enc": found.W_enc,
        "b_gate" if act.kind == "gated" else "b_enc": found.b_enc,
        "W_dec": found.W_dec,
        "b_dec": found.b_out,
        "threshold": act.threshold,
        "r_mag": act.r_mag,
        "b_mag": act.b_mag,
        "W_skip": None if found.W_skip is None else found.W_skip.T,
    }
    return {
        name: tensor.detach().float().cpu().clone().contiguous()
        for name, tensor in tensors.items()
        if tensor is not None
    }
