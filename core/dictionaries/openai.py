"""OpenAI's dictionaries of GPT-2 small: one .pt file with a table of tensors.

pre_bias [d], encoder.weight [F, d], latent_bias [F], decoder.weight [d, F], the name of the
activation. Those with TopK normalise what they read. Trained through TransformerLens, so the
stream is centred.
"""

from pathlib import Path
from typing import Any

from core.dictionaries.files import Tensors, inside, torch_file
from core.dictionaries.hook_names import openai_site
from core.dictionaries.reading import Reading, centred, places
from core.dictionaries.saelens import whole
from core.dictionaries.sparse import About, Norm, SparseDict
from core.models.header import shown
from core.spec.errors import Error
from kernels.feature_topk import Activation


def looks(values: Tensors) -> bool:
    """Whether the tensors of a file are of this format."""
    return "pre_bias" in values and "latent_bias" in values


def read(path: Path, name: str, said: Reading) -> SparseDict:
    """The dictionary of a file. Raises `Error`."""
    values, rest = torch_file(inside(path.parent, path.name))
    act = _activation(values, rest, said)
    found = openai_site(path.parts)
    place = places(said, str(found) if found else "")
    bias = values.vector("pre_bias")
    return SparseDict(
        name=name,
        site=place.site,
        out_site=place.out_site,
        W_enc=values.matrix("encoder.weight").mT.contiguous(),
        b_enc=values.vector("latent_bias"),
        W_dec=values.matrix("decoder.weight").mT.contiguous(),
        b_in=bias,
        b_out=bias,
        act=act,
        norm=Norm("layernorm" if act.kind == "topk" else "none"),
        center=centred(place.site, True),
        heads=place.heads,
        about=About(
            format="OpenAI",
            path=str(path),
            model="gpt2",
            hook=place.hook,
            context=64,
            architecture=act.kind,
            declared_l0=float(act.k),
            notes=place.notes,
        ),
    )


def _activation(values: Tensors, rest: dict[str, Any], said: Reading) -> Activation:
    kind = rest.get("activation", "ReLU")
    if kind == "ReLU":
        return Activation("relu")
    if kind != "TopK":
        raise Error(f"the file names the activation {shown(kind)}; ReLU and TopK can be read")
    stored: Any = rest.get("activation_state_dict.k")
    if "activation_state_dict.k" in values:
        stored = int(values.take("activation_state_dict.k").reshape(-1)[0])
    return Activation("topk", k=whole(said.k or stored, "k"))
