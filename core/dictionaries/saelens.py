"""SAELens: a folder with cfg.json and sae_weights.safetensors."""

from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from core.dictionaries.hook_names import site_of
from core.dictionaries.sparse import About, Norm, SparseDict
from core.models import header
from core.models.door import read_json
from core.spec.errors import Error
from kernels.feature_topk import Activation


def fits(folder: Path) -> bool:
    """Whether the folder is of this format."""
    return (folder / "cfg.json").is_file() and (folder / "sae_weights.safetensors").is_file()


def read(folder: Path, name: str) -> SparseDict:
    """The dictionary of a folder. Raises `Error`."""
    config = read_json(folder / "cfg.json")
    header.read(folder / "sae_weights.safetensors")
    tensors = {
        key: value.float() for key, value in load_file(folder / "sae_weights.safetensors").items()
    }
    meta: dict[str, Any] = config.get("metadata") or config
    hook = str(meta.get("hook_name", ""))
    place = site_of(hook)
    if config.get("architecture") != "topk":
        raise Error(f"{folder.name}: architecture {config.get('architecture')!r} is not read yet")
    return SparseDict(
        name=name,
        site=place,
        out_site=place,
        W_enc=tensors["W_enc"],
        b_enc=tensors["b_enc"],
        W_dec=tensors["W_dec"],
        b_in=tensors["b_dec"] if config.get("apply_b_dec_to_input", True) else None,
        b_out=tensors["b_dec"],
        act=Activation("topk", k=int(config["k"])),
        norm=Norm(),
        about=About(
            format="SAELens",
            path=str(folder),
            model=str(meta.get("model_name", "")),
            hook=hook,
            context=int(meta.get("context_size") or 0),
            architecture="topk",
        ),
    )
