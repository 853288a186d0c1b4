"""Every format there is, and one door for all of them.

A new format is one file with `fits` and `read`, one line here, and one line in the round-trip test.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from core.dictionaries import (
    codebook,
    dictionary_learning,
    gemma_scope,
    llama_scope,
    names,
    saelens,
    single_file,
    sparsify,
)
from core.dictionaries.gemma_scope import declared_l0
from core.dictionaries.reading import Reading, changed, reading
from core.dictionaries.sparse import SparseDict
from core.models.header import shown
from core.spec.errors import Error
from kernels.feature_topk import COMPETING


@dataclass(frozen=True)
class Format:
    """What a format is called, the files it is known by, and its reader."""

    name: str
    files: str
    fits: Callable[[Path], bool]
    read: Callable[[Path, str, Reading], SparseDict]


FORMATS = (
    Format("SAELens", "cfg.json + sae_weights.safetensors", saelens.fits, saelens.read),
    Format("sparsify", "cfg.json + sae.safetensors", sparsify.fits, sparsify.read),
    Format(
        "dictionary_learning",
        "ae.pt + config.json",
        dictionary_learning.fits,
        dictionary_learning.read,
    ),
    Format(
        "Gemma Scope",
        "params.npz, or params.safetensors",
        gemma_scope.fits,
        gemma_scope.read,
    ),
    Format(
        "Llama Scope",
        "hyperparams.json + checkpoints/final.safetensors",
        llama_scope.fits,
        llama_scope.read,
    ),
    Format("codebook", "cfg.json + codebook.safetensors", codebook.fits, codebook.read),
    Format(
        "one file",
        "a .safetensors, .pt or .npz file of its own (OpenAI, circuit-tracer and others)",
        single_file.fits,
        single_file.read,
    ),
)
# A file that is part of a folder stands for the folder.
PARTS = {
    "cfg.json": 1,
    "config.json": 1,
    "sae_weights.safetensors": 1,
    "sae.safetensors": 1,
    "codebook.safetensors": 1,
    "ae.pt": 1,
    "params.npz": 1,
    "params.safetensors": 1,
    "hyperparams.json": 1,
    "final.safetensors": 2,
}


def opened(path: str | Path, name: str = "", **overrides: Any) -> SparseDict:
    """The dictionary of a folder or file, in whichever format it is. Raises `Error`.

    `overrides` are those of `core.dictionaries.reading.Reading`. `name` is what it is called
    afterwards; the name of the folder without it.
    """
    place = placed(path)
    said = reading(**overrides)
    called = name or (place.name if place.is_dir() else place.stem)
    try:
        found = recognised(place).read(place, called, said)
        found = changed(_sound(found), said)
        fingerprint = names.fingerprint(place, said.plain())
    except OSError as fault:
        raise Error(f"{called}: {fault.strerror or fault}") from None
    except Error as fault:
        raise Error(f"{called}: {fault}") from None
    about = replace(
        found.about,
        fingerprint=fingerprint,
        declared_l0=found.about.declared_l0 or declared_l0(place),
    )
    return replace(found, name=called, about=about)


def placed(path: str | Path) -> Path:
    """The folder or file that is meant. Raises `Error`."""
    text = str(path)
    if not text.strip() or len(text) > 4_000 or not text.isprintable():
        raise Error(f"{shown(text)} is no path of a dictionary")
    place = Path(os.path.expanduser(text))
    if ".." in place.parts:
        raise Error(f"the path {shown(text)} holds '..'; give the whole path instead")
    for _ in range(PARTS.get(place.name, 0) if place.is_file() else 0):
        place = place.parent
    if not place.is_dir() and not place.is_file():
        raise Error(f"there is no folder or file {shown(text)}")
    return place


def recognised(path: Path) -> Format:
    """The format of a folder or file. Raises `Error` saying what is there."""
    for each in FORMATS:
        if each.fits(path):
            return each
    known = "; ".join(f"{each.name}: {each.files}" for each in FORMATS)
    there = path.name
    if path.is_dir():
        held = sorted(each.name for each in path.iterdir())
        there = ", ".join(map(shown, held[:8])) or "nothing"
    raise Error(f"no format is known by what is there ({there}). Known are {known}")


def _sound(found: SparseDict) -> SparseDict:
    """Refuse a dictionary whose tensors do not fit each other."""
    d_in, n = found.W_enc.shape
    d_out = found.W_dec.shape[1]
    wanted: list[tuple[str, Tensor | None, tuple[int, ...]]] = [
        ("the encoder's bias", found.b_enc, (n,)),
        ("the decoder", found.W_dec, (n, d_out)),
        ("the bias taken off first", found.b_in, (d_in,)),
        ("the decoder's bias", found.b_out, (d_out,)),
        ("the skip connection", found.W_skip, (d_in, d_out)),
        ("the threshold", found.act.threshold, (n,)),
        ("r_mag", found.act.r_mag, (n,)),
        ("the magnitude's bias", found.act.b_mag, (n,)),
    ]
    for what, tensor, shape in wanted:
        if tensor is not None and tuple(tensor.shape) != shape:
            raise Error(
                f"{what} is {list(tensor.shape)} where the encoder {[d_in, n]} calls for "
                f"{list(shape)}"
            )
    if not found.transcoder and d_out != d_in:
        raise Error(
            f"it reads {d_in:,} numbers and writes {d_out:,} at the same place; say out_site="
        )
    if found.act.kind in COMPETING and not 1 <= found.act.k <= n:
        raise Error(f"k is {found.act.k} and there are {n:,} features")
    if found.act.kind == "groupmax" and n % found.act.k:
        raise Error(f"{n:,} features do not divide into {found.act.k} groups")
    return found
