"""Llama Scope: hyperparams.json and checkpoints/final.safetensors.

encoder.weight [F, d], encoder.bias, decoder.weight [d, F], decoder.bias. Activations are scaled to
a mean length of sqrt(d) by a number in the file, and one threshold in that scale holds for all
features. The variant for distilled models has config.json and a threshold for each feature, as its
logarithm.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.dictionaries.files import Tensors, inside, tensors
from core.dictionaries.reading import Reading, places
from core.dictionaries.sparse import About, Norm, SparseDict
from core.models.door import read_json
from core.models.header import shown
from core.spec.errors import Error
from kernels.feature_topk import Activation

FORMS = (
    ("hyperparams.json", "checkpoints/final.safetensors"),
    ("config.json", "sae_weights.safetensors"),
)


def fits(path: Path) -> bool:
    """Whether the folder is of this format."""
    return any((path / a).is_file() and (path / b).is_file() for a, b in FORMS)


def read(path: Path, name: str, said: Reading) -> SparseDict:
    """The dictionary of a folder. Raises `Error`."""
    table, weights = next((a, b) for a, b in FORMS if (path / a).is_file() and (path / b).is_file())
    config = read_json(inside(path, table))
    values = tensors(inside(path, weights))
    read_at, write_at = config.get("hook_point_in"), config.get("hook_point_out")
    out = write_at if isinstance(write_at, str) and write_at != read_at else ""
    place = places(said, read_at if isinstance(read_at, str) else "", out)
    encoder = values.matrix("encoder.weight").mT.contiguous()
    threshold = _threshold(values, config)
    return SparseDict(
        name=name,
        site=place.site,
        out_site=place.out_site,
        W_enc=encoder,
        b_enc=values.vector("encoder.bias"),
        W_dec=values.matrix("decoder.weight").mT.contiguous(),
        b_out=values.vector("decoder.bias"),
        act=Activation("jumprelu", threshold=threshold.expand(encoder.shape[1])),
        norm=_norm(config, encoder.shape[0]),
        heads=place.heads,
        about=About(
            format="Llama Scope",
            path=str(path),
            hook=place.hook,
            architecture="jumprelu",
            notes=place.notes,
        ),
    )


def _threshold(values: Tensors, config: dict[str, Any]) -> Tensor:
    if "log_jumprelu_threshold" in values:
        return values.take("log_jumprelu_threshold").exp()
    return torch.tensor(_number(config.get("jump_relu_threshold"), "jump_relu_threshold"))


def _norm(config: dict[str, Any], width: int) -> Norm:
    norms = config.get("dataset_average_activation_norm")
    length = norms.get("in") if isinstance(norms, dict) else None
    length = _number(length, "dataset_average_activation_norm.in")
    if length <= 0:
        raise Error("dataset_average_activation_norm.in should be above 0")
    return Norm("scale", width**0.5 / length)


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Error(f"{what} should be a number, not {shown(value)}; download the folder again")
    return float(value)
