"""sparsify: a folder named after its hook point, with cfg.json and sae.safetensors.

encoder.weight [F, d], encoder.bias [F], W_dec [F, d], b_dec [d]. The bias is subtracted before
encoding unless it is a transcoder, which reads the input of its module. Hook points are modules of
the Hugging Face model without its head.
"""

from pathlib import Path
from typing import Any

from core.dictionaries.files import inside, tensors
from core.dictionaries.reading import Places, Reading, places
from core.dictionaries.saelens import whole
from core.dictionaries.sparse import About, SparseDict
from core.models.door import read_json
from core.models.header import shown
from core.spec.errors import Error
from kernels.feature_topk import Activation


def fits(path: Path) -> bool:
    """Whether the folder is of this format."""
    return (path / "cfg.json").is_file() and (path / "sae.safetensors").is_file()


def read(path: Path, name: str, said: Reading) -> SparseDict:
    """The dictionary of a folder. Raises `Error`."""
    config = read_json(inside(path, "cfg.json"))
    values = tensors(inside(path, "sae.safetensors"))
    transcodes = bool(config.get("transcode") or config.get("skip_connection"))
    place = _places(path.name, transcodes, said)
    kind: Any = config.get("activation") or "topk"
    if kind not in ("topk", "groupmax"):
        raise Error(f"cfg.json names the activation {shown(kind)}; topk and groupmax can be read")
    k = whole(said.k or config.get("k"), "k")
    b_dec = values.vector("b_dec")
    skip = values.get("W_skip")
    notes = place.notes
    if config.get("signed"):
        notes += ("it was trained with signed activations; those below zero are left out",)
    return SparseDict(
        name=name,
        site=place.site,
        out_site=place.out_site,
        W_enc=values.matrix("encoder.weight").mT.contiguous(),
        b_enc=values.vector("encoder.bias"),
        W_dec=values.matrix("W_dec"),
        b_in=None if transcodes else b_dec,
        b_out=b_dec,
        W_skip=None if skip is None else skip.mT.contiguous(),
        act=Activation(kind, k=k),
        heads=place.heads,
        about=About(
            format="sparsify",
            path=str(path),
            hook=place.hook,
            architecture=f"{kind} transcoder" if transcodes else kind,
            declared_l0=float(k),
            notes=notes,
        ),
    )


def _places(module: str, transcodes: bool, said: Reading) -> Places:
    if not transcodes:
        return places(said, "" if said.site else module)
    out = "" if said.out_site else module
    return places(said, "" if said.site else module, out, input_of=True)
