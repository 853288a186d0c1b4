"""dictionary_learning: a folder with ae.pt, a table of tensors, and config.json.

What the tensors mean hangs on `trainer.dict_class`; one function each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.dictionaries.files import Tensors, inside, tensors
from core.dictionaries.reading import Places, Reading, places
from core.dictionaries.saelens import whole
from core.dictionaries.sparse import About, SparseDict
from core.models.door import read_json
from core.models.header import shown
from core.spec.errors import Error
from kernels.feature_topk import Activation


@dataclass(frozen=True)
class _Parts:
    """The canonical tensors of one class; `b_in` None where nothing is subtracted."""

    W_enc: Tensor
    b_enc: Tensor
    W_dec: Tensor
    b_in: Tensor | None
    b_out: Tensor
    act: Activation


def fits(path: Path) -> bool:
    """Whether the folder is of this format."""
    return (path / "ae.pt").is_file() and (path / "config.json").is_file()


def read(path: Path, name: str, said: Reading) -> SparseDict:
    """The dictionary of a folder. Raises `Error`."""
    config = read_json(inside(path, "config.json"))
    trainer, buffer = _table(config, "trainer"), _table(config, "buffer")
    kind = trainer.get("dict_class")
    if not isinstance(kind, str) or kind not in CLASSES:
        raise Error(
            f"config.json names the class {shown(kind)}; those read are {', '.join(CLASSES)}"
        )
    place = _places(trainer, said)
    parts = CLASSES[kind](tensors(inside(path, "ae.pt")), trainer, said)
    return SparseDict(
        name=name,
        site=place.site,
        out_site=place.out_site,
        W_enc=parts.W_enc,
        b_enc=parts.b_enc,
        W_dec=parts.W_dec,
        b_in=parts.b_in,
        b_out=parts.b_out,
        act=parts.act,
        heads=place.heads,
        about=About(
            format="dictionary_learning",
            path=str(path),
            model=str(trainer.get("lm_name") or "")[:200],
            hook=place.hook,
            context=int(buffer.get("ctx_len") or 0),
            architecture=kind,
            declared_l0=float(parts.act.k or trainer.get("k") or 0),
            notes=place.notes,
        ),
    )


def _table(config: dict[str, Any], name: str) -> dict[str, Any]:
    value = config.get(name)
    return value if isinstance(value, dict) else {}


def _places(trainer: dict[str, Any], said: Reading) -> Places:
    """`submodule_name` where it is a known word, else the output of block `layer`."""
    name, layer = trainer.get("submodule_name"), trainer.get("layer")
    words = [name] if isinstance(name, str) and name else []
    if isinstance(name, str) and isinstance(layer, int):
        words.append(f"{name}_layer{layer}")
    if isinstance(layer, int) and not name:
        words.append(f"resid_out_layer{layer}")
    for word in words[:-1]:
        try:
            return places(said, word)
        except Error:
            continue
    return places(said, words[-1] if words else "")


def _relu(values: Tensors, _: dict[str, Any], __: Reading) -> _Parts:
    bias = values.vector("bias")
    decoder = values.matrix("decoder.weight").mT
    # Its own loader makes the rows of the decoder unit vectors; so do we.
    decoder = decoder / torch.linalg.vector_norm(decoder, dim=1, keepdim=True).clamp_min(1e-30)
    encoder = values.matrix("encoder.weight").mT.contiguous()
    return _Parts(encoder, values.vector("encoder.bias"), decoder, bias, bias, Activation("relu"))


def _relu_new(values: Tensors, _: dict[str, Any], __: Reading) -> _Parts:
    return _Parts(
        values.matrix("encoder.weight").mT.contiguous(),
        values.vector("encoder.bias"),
        values.matrix("decoder.weight").mT.contiguous(),
        None,
        values.vector("decoder.bias"),
        Activation("relu"),
    )


def _gated(values: Tensors, _: dict[str, Any], __: Reading) -> _Parts:
    bias = values.vector("decoder_bias")
    act = Activation("gated", r_mag=values.vector("r_mag"), b_mag=values.vector("mag_bias"))
    return _Parts(
        values.matrix("encoder.weight").mT.contiguous(),
        values.vector("gate_bias"),
        values.matrix("decoder.weight").mT.contiguous(),
        bias,
        bias,
        act,
    )


def _k(values: Tensors, trainer: dict[str, Any], said: Reading) -> int:
    stored = int(values.take("k").reshape(-1)[0]) if "k" in values else trainer.get("k")
    return whole(said.k or stored, "k")


def _topk(values: Tensors, trainer: dict[str, Any], said: Reading) -> _Parts:
    act = Activation("topk", k=_k(values, trainer, said))
    return _weights(values, act, values.vector("b_dec"))


def _batch_topk(values: Tensors, trainer: dict[str, Any], said: Reading) -> _Parts:
    """At inference a threshold; below zero it was never set, and the k largest count."""
    threshold = values.take("threshold").reshape(-1)
    act = Activation("jumprelu", threshold=threshold)
    if float(threshold.max()) < 0:
        act = Activation("topk", k=_k(values, trainer, said))
    return _weights(values, act, values.vector("b_dec"))


def _jumprelu(values: Tensors, trainer: dict[str, Any], _: Reading) -> _Parts:
    act = Activation("jumprelu", threshold=values.take("threshold").reshape(-1))
    subtracts = bool(trainer.get("apply_b_dec_to_input"))
    return _weights(values, act, values.vector("b_dec") if subtracts else None)


def _weights(values: Tensors, act: Activation, b_in: Tensor | None) -> _Parts:
    """W_enc and W_dec as they are, or linear maps, which lie the other way round."""
    linear = "encoder.weight" in values
    encoder = values.matrix("encoder.weight").mT if linear else values.matrix("W_enc")
    decoder = values.matrix("decoder.weight").mT if linear else values.matrix("W_dec")
    if act.threshold is not None:
        act = Activation("jumprelu", threshold=act.threshold.expand(encoder.shape[1]))
    b_enc = values.vector("encoder.bias" if linear else "b_enc")
    return _Parts(
        encoder.contiguous(), b_enc, decoder.contiguous(), b_in, values.vector("b_dec"), act
    )


CLASSES: dict[str, Callable[[Tensors, dict[str, Any], Reading], _Parts]] = {
    "AutoEncoder": _relu,
    "AutoEncoderNew": _relu_new,
    "GatedAutoEncoder": _gated,
    "AutoEncoderTopK": _topk,
    "BatchTopKSAE": _batch_topk,
    "MatryoshkaBatchTopKSAE": _batch_topk,
    "JumpReluAutoEncoder": _jumprelu,
}
