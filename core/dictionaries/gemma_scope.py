"""Gemma Scope: params.npz, or params.safetensors with a config.json in its second release.

Arrays W_enc [d, F], b_enc, W_dec [F, d], b_dec and threshold [F], in some files in lower case. The
decoder's bias is never subtracted. The site stands in the names of folders only.
"""

import re
from pathlib import Path

from core.dictionaries.files import inside, tensors
from core.dictionaries.reading import Places, Reading, places
from core.dictionaries.sparse import About, SparseDict
from core.models.door import read_json
from core.spec.errors import Error
from kernels.feature_topk import Activation

FILES = ("params.npz", "params.safetensors")
# What a part of the path says about the place; the first that is found counts.
_WORDS = (
    ("transcoder", "ln2.hook_normalized", "hook_mlp_out"),
    ("attn_out", "attn.hook_z", ""),
    ("mlp_out", "hook_mlp_out", ""),
    ("resid_post", "hook_resid_post", ""),
    ("-res", "hook_resid_post", ""),
    ("-mlp", "hook_mlp_out", ""),
    ("-att", "attn.hook_z", ""),
)


def fits(path: Path) -> bool:
    """Whether the folder is of this format."""
    return any((path / name).is_file() for name in FILES)


def read(path: Path, name: str, said: Reading) -> SparseDict:
    """The dictionary of a folder. Raises `Error`."""
    values = tensors(inside(path, next(file for file in FILES if (path / file).is_file())))
    encoder = values.matrix("W_enc", "w_enc")
    decoder = values.matrix("W_dec", "w_dec")
    place = _places(path, said)
    if _embedding(path):  # trained on the embedding before the model scales it
        root = encoder.shape[0] ** 0.5
        encoder, decoder = encoder / root, decoder * root
    skip = values.get("affine_skip_connection")
    return SparseDict(
        name=name,
        site=place.site,
        out_site=place.out_site,
        W_enc=encoder,
        b_enc=values.vector("b_enc"),
        W_dec=decoder,
        b_out=values.vector("b_dec"),
        W_skip=skip,
        act=Activation("jumprelu", threshold=values.take("threshold").expand(encoder.shape[1])),
        heads=place.heads,
        about=About(
            format="Gemma Scope",
            path=str(path),
            model=_model(path),
            hook=place.hook,
            context=1024,
            architecture="jumprelu",
            declared_l0=declared_l0(path),
            notes=place.notes,
        ),
    )


def declared_l0(path: Path) -> float:
    """The number in `average_l0_82`; 0 without one."""
    found = re.search(r"average_l0_(\d{1,6})", "/".join(path.parts))
    return float(found[1]) if found else 0.0


def _embedding(path: Path) -> bool:
    return "embedding" in path.parts


def _places(path: Path, said: Reading) -> Places:
    config = read_json(inside(path, "config.json")) if (path / "config.json").is_file() else {}
    given, out = config.get("hf_hook_point_in"), config.get("hf_hook_point_out")
    if isinstance(given, str):
        return places(said, given, out if isinstance(out, str) else "")
    if said.site:
        return places(said, "")
    if _embedding(path):
        return places(said, "hook_embed")
    text = "/".join(path.parts)
    layers = re.findall(r"layer_(\d{1,4})", text)
    for word, read_at, write_at in _WORDS:
        if word in text and layers:
            below = f"blocks.{layers[-1]}."
            return places(said, below + read_at, below + write_at if write_at else "")
    raise Error(
        "the names of the folders do not say where it reads, as gemma-scope-2b-pt-res/layer_12 "
        "does; say it, as in site='L12.resid_post'"
    )


def _model(path: Path) -> str:
    found = re.search(r"gemma-scope-(?:2-)?[a-z0-9-]+", "/".join(path.parts))
    return found[0] if found else ""
