"""SAELens: a folder with cfg.json and sae_weights.safetensors.

Since version 6 the model and the hook point stand under `metadata`; older folders have one flat
table with other names, which `saelens_flat` brings into the newer form. BatchTopK and Matryoshka
dictionaries are stored as jumprelu with their threshold.
"""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.dictionaries.files import Tensors, inside, tensors
from core.dictionaries.reading import Reading, centred, places
from core.dictionaries.saelens_flat import is_flat, nested
from core.dictionaries.sparse import About, Norm, SparseDict
from core.models.door import read_json
from core.models.header import shown
from core.spec.errors import Error
from kernels.feature_topk import Activation

TRANSCODERS = ("transcoder", "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder")
BATCHED = ("batchtopk", "matryoshka", "matryoshka_batchtopk")
ARCHITECTURES = ("standard", "gated", "jumprelu", "topk", *BATCHED, *TRANSCODERS)
NORMS = {
    "none": "none",
    "expected_average_only_in": "scale",
    "constant_norm_rescale": "rms",
    "layer_norm": "layernorm",
}
UNKNOWN_SCALE = (
    "its activations were scaled to a mean length of sqrt(d_in) and the factor is not in the "
    "folder; read as if it were in the weights, unless scale= says it"
)


def fits(path: Path) -> bool:
    """Whether the folder is of this format."""
    return (path / "cfg.json").is_file() and (path / "sae_weights.safetensors").is_file()


def read(path: Path, name: str, said: Reading) -> SparseDict:
    """The dictionary of a folder. Raises `Error`."""
    config = read_json(inside(path, "cfg.json"))
    flat = is_flat(config)
    config = nested(config) if flat else config
    architecture = config.get("architecture")
    if architecture not in ARCHITECTURES:
        raise Error(
            f"cfg.json names the architecture {shown(architecture)}; "
            f"those read are {', '.join(ARCHITECTURES)}"
        )
    about = config.get("metadata") or {}
    _one_place(about)
    transcoder = architecture in TRANSCODERS
    place = places(said, _text(about, "hook_name"), _text(about, "hook_name_out") * transcoder)
    if transcoder and place.site == place.out_site:
        raise Error("a transcoder's cfg.json should name hook_name_out; say out_site=")
    values = tensors(inside(path, "sae_weights.safetensors"))
    norm, notes = _norm(path, config, said)
    b_dec = values.vector("b_dec")
    subtracts = not transcoder and config.get("apply_b_dec_to_input", True)
    skip = values.matrix("W_skip").mT.contiguous() if "skip" in architecture else None
    return SparseDict(
        name=name,
        site=place.site,
        out_site=place.out_site,
        W_enc=values.matrix("W_enc"),
        b_enc=values.vector("b_gate" if architecture == "gated" else "b_enc"),
        W_dec=_decoder(values),
        b_in=b_dec if subtracts else None,
        b_out=b_dec,
        W_skip=skip,
        act=_activation(architecture, config, values, said),
        norm=norm,
        center=centred(place.site, _processed(about, flat)),
        heads=place.heads,
        pre_scale=architecture == "topk" and bool(config.get("rescale_acts_by_decoder_norm")),
        about=About(
            format="SAELens < 6" if flat else "SAELens",
            path=str(path),
            model=_text(about, "model_name"),
            hook=place.hook,
            context=int(about.get("context_size") or 0),
            architecture=architecture,
            declared_l0=_declared(path, architecture, config, said),
            notes=(*place.notes, *notes),
        ),
    )


def _text(table: dict[str, Any], key: str) -> str:
    value = table.get(key)
    return value if isinstance(value, str) else ""


def _one_place(about: dict[str, Any]) -> None:
    head = about.get("hook_head_index")
    if head is not None:
        raise Error(f"it reads head {shown(head)} alone; dictionaries of all heads can be read")


def _activation(
    architecture: str, config: dict[str, Any], values: Tensors, said: Reading
) -> Activation:
    if architecture == "gated":
        return Activation("gated", r_mag=values.vector("r_mag"), b_mag=values.vector("b_mag"))
    if architecture == "topk":
        return Activation("topk", k=whole(said.k or config.get("k"), "k"))
    if architecture.startswith("jumprelu") or architecture in BATCHED:
        return Activation("jumprelu", threshold=_threshold(values))
    return Activation("relu")


def _threshold(values: Tensors) -> Tensor:
    width = values.matrix("W_enc").shape[1]
    if "log_threshold" in values:
        return values.take("log_threshold").exp().expand(width)
    return values.take("threshold", "topk_threshold").expand(width)


def whole(value: Any, what: str) -> int:
    """A whole number from 1 on. Raises `Error`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise Error(f"{what} should be a whole number from 1 on, not {shown(value)}; say {what}=")
    return value


def _decoder(values: Tensors) -> Tensor:
    """[feature, d_out]; before version 6 a factor for each row may stand beside it."""
    decoder = values.matrix("W_dec")
    factor = values.get("scaling_factor", "finetuning_scaling_factor")
    return decoder if factor is None else decoder * factor.reshape(-1, 1)


def _norm(path: Path, config: dict[str, Any], said: Reading) -> tuple[Norm, tuple[str, ...]]:
    asked = config.get("normalize_activations") or "none"
    if asked not in NORMS:
        raise Error(
            f"cfg.json asks for activations normalised by {shown(asked)}; "
            f"{', '.join(NORMS)} can be read"
        )
    if NORMS[asked] != "scale":
        return Norm(NORMS[asked]), ()  # type: ignore[arg-type]
    scaler = inside(path, "activation_scaler.json")
    stored = read_json(scaler).get("scaling_factor") if scaler.is_file() else None
    if stored is None:
        return Norm(), () if said.scale or said.norm else (UNKNOWN_SCALE,)
    if not isinstance(stored, int | float) or not 0 < stored < float("inf"):
        raise Error(f"activation_scaler.json holds {shown(stored)}, not a factor above 0")
    return Norm("scale", float(stored)), ()


def _processed(about: dict[str, Any], flat: bool) -> bool:
    """Was the model one of TransformerLens with its writing weights centred?

    Since version 6, and wherever the arguments of loading are noted, models come as they are.
    """
    loaded_with = about.get("model_from_pretrained_kwargs")
    if isinstance(loaded_with, dict) and "center_writing_weights" in loaded_with:
        return bool(loaded_with["center_writing_weights"])
    return flat and loaded_with is None


def _declared(path: Path, architecture: str, config: dict[str, Any], said: Reading) -> float:
    """The L0 that the firing frequencies in sparsity.safetensors sum to, or k."""
    stored = inside(path, "sparsity.safetensors")
    if stored.is_file():
        values = tensors(stored)
        if "sparsity" in values:
            total = float(torch.pow(10.0, values.take("sparsity")).sum())
            return total if math.isfinite(total) else 0.0
    return float(said.k or config.get("k") or 0) if architecture == "topk" else 0.0
