"""Dictionaries that are one file without a table beside it.

circuit-tracer's transcoders (`layer_3.safetensors`): W_enc [F, d], W_dec [F, d], b_enc, b_dec,
maybe W_skip [d, d], maybe a threshold, with a config.yaml in the folder. Files with encoder and
decoder as linear maps (the DeepSeek-R1 dictionaries and others, .pt or .safetensors). Older
attention dictionaries with `<stem>_cfg.json`. Files with W_enc and W_dec as such. What they leave
open has to be said.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from core.dictionaries import openai
from core.dictionaries.files import Tensors, inside, tensors
from core.dictionaries.reading import Places, Reading, places
from core.dictionaries.sparse import About, SparseDict
from core.models.door import read_json
from core.models.header import shown
from core.spec.errors import Error
from kernels.feature_topk import Activation

SUFFIXES = (".safetensors", ".pt", ".pth", ".npz")
MAX_YAML = 1_000_000
_LINEAR = {
    "encoder.weight": ("encoder.weight", "encoder_linear.weight"),
    "encoder.bias": ("encoder.bias", "encoder_linear.bias", "b_enc"),
    "decoder.weight": ("decoder.weight", "decoder_linear.weight"),
    "decoder.bias": ("decoder.bias", "decoder_linear.bias", "b_dec"),
}
OPEN = "the file does not say whether its bias is subtracted first: not (subtract=True changes it)"


def fits(path: Path) -> bool:
    """Whether it is a file that may hold a dictionary."""
    return path.is_file() and path.suffix in SUFFIXES


def read(path: Path, name: str, said: Reading) -> SparseDict:
    """The dictionary of a file. Raises `Error`."""
    values = tensors(inside(path.parent, path.name))
    if openai.looks(values):
        return openai.read(path, name, said)
    beside = inside(path.parent, f"{path.stem}_cfg.json")
    config = read_json(beside) if beside.is_file() else {}
    if any(key in values for key in _LINEAR["encoder.weight"]):
        return _linear(path, name, values, said)
    if "W_enc" not in values:
        there = ", ".join(sorted(values)[:12])
        raise Error(f"{path.name} holds {there}: no encoder that is known here"[:400])
    tracer = _yaml(path.parent)
    if not config and _turned(values):
        return _transcoder(path, name, values, tracer, said)
    return _plain(path, name, values, config, said)


def _about(path: Path, kind: str, place: Places, *notes: str) -> About:
    return About(
        format=kind,
        path=str(path),
        hook=place.hook,
        architecture="",
        notes=(*place.notes, *notes),
    )


def _act(values: Tensors, n_features: int, said: Reading) -> Activation:
    if said.k:
        return Activation("topk", k=said.k)
    threshold = values.get("threshold", "activation_function.threshold")
    if threshold is not None:
        return Activation("jumprelu", threshold=threshold.reshape(-1).expand(n_features))
    return Activation("relu")


def _layer(path: Path) -> str:
    """The layer in the name of the file; "" without one."""
    found = re.search(r"(?:^|[^a-z])l(?:ayer)?_?(\d{1,3})(?:\D|$)", path.stem.lower())
    return f"blocks.{found[1]}.hook_resid_post" if found else ""


def _linear(path: Path, name: str, values: Tensors, said: Reading) -> SparseDict:
    encoder = values.matrix(*_LINEAR["encoder.weight"]).mT.contiguous()
    place = places(said, _layer(path))
    found = SparseDict(
        name=name,
        site=place.site,
        out_site=place.out_site,
        W_enc=encoder,
        b_enc=_bias(values, "encoder.bias"),
        W_dec=values.matrix(*_LINEAR["decoder.weight"]).mT.contiguous(),
        b_out=_bias(values, "decoder.bias"),
        act=_act(values, encoder.shape[1], said),
        heads=place.heads,
        about=_about(path, "linear maps", place, *([] if said.subtract is not None else [OPEN])),
    )
    return replace(found, about=replace(found.about, architecture=found.act.kind))


def _bias(values: Tensors, which: str) -> Tensor:
    return values.vector(*_LINEAR[which])


def _turned(values: Tensors) -> bool:
    """W_enc [F, d], as circuit-tracer keeps it; told by the length of b_enc."""
    rows, columns = values.matrix("W_enc").shape
    width = values.vector("b_enc").shape[0]
    return bool(rows == width and columns != width)


def _transcoder(
    path: Path, name: str, values: Tensors, tracer: dict[str, str], said: Reading
) -> SparseDict:
    """A file of circuit-tracer, or one of TopK dictionaries with W_dec [d, F] (Qwen Scope)."""
    encoder = values.matrix("W_enc").mT.contiguous()
    decoder = values.matrix("W_dec")
    single = decoder.shape[0] == encoder.shape[0]  # [d, F]
    layer = re.search(r"(\d{1,4})(?!.*\d)", path.name.partition(".")[0])
    below = f"blocks.{layer[1]}." if layer else ""
    if single:
        place = places(said, f"{below}hook_resid_post" if below else "")
    else:
        read_at = tracer.get("feature_input_hook", "mlp.hook_in")
        write_at = tracer.get("feature_output_hook", "hook_mlp_out")
        place = places(said, below + read_at if below else "", below + write_at if below else "")
    skip = values.get("W_skip")
    found = SparseDict(
        name=name,
        site=place.site,
        out_site=place.out_site,
        W_enc=encoder,
        b_enc=values.vector("b_enc"),
        W_dec=decoder.mT.contiguous() if single else decoder,
        b_out=values.vector("b_dec"),
        W_skip=None if skip is None else skip.mT.contiguous(),
        act=_act(values, encoder.shape[1], said),
        heads=place.heads,
        about=_about(path, "W_enc of features" if single else "circuit-tracer", place),
    )
    about = replace(found.about, architecture=found.act.kind, model=tracer.get("model_name", ""))
    return replace(found, about=about)


def _plain(
    path: Path, name: str, values: Tensors, config: dict[str, Any], said: Reading
) -> SparseDict:
    """W_enc [d, F] and W_dec [F, d]; with act_name an attention dictionary of TransformerLens."""
    hook = config.get("act_name")
    if hook is not None and not isinstance(hook, str):
        raise Error(f"act_name should be the name of a hook point, not {shown(hook)}")
    place = places(said, hook or _layer(path))
    encoder, bias = values.matrix("W_enc"), values.vector("b_dec")
    old = bool(config)
    notes = () if old or said.subtract is not None else (OPEN,)
    return SparseDict(
        name=name,
        site=place.site,
        out_site=place.out_site,
        W_enc=encoder,
        b_enc=values.vector("b_enc"),
        W_dec=values.matrix("W_dec"),
        b_in=bias if old else None,
        b_out=bias,
        act=_act(values, encoder.shape[1], said),
        heads=place.heads,
        about=replace(
            _about(path, "attention dictionary" if old else "W_enc and W_dec", place, *notes),
            model=str(config.get("model_name") or "")[:200],
        ),
    )


def _yaml(folder: Path) -> dict[str, str]:
    """The plain `key: value` lines of circuit-tracer's config.yaml; nothing else of it is read."""
    path = inside(folder, "config.yaml")
    if not path.is_file() or path.stat().st_size > MAX_YAML:
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = (re.fullmatch(r"([a-z_]+):\s*[\"']?([A-Za-z0-9_./\-]+)[\"']?\s*", x) for x in lines)
    return {found[1]: found[2] for found in pairs if found}
