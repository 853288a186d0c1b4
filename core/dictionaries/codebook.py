"""Codebooks: a folder with cfg.json and codebook.safetensors (codes [code, d], maybe bias [d]).

cfg.json has the fields of "Codebook Features: Sparse and Discrete Interpretability for Neural
Networks" (Tamkin, Taufeeque and Goodman, 2023): codebook_type, codebook_at, num_codes,
num_codebooks, k_codebook, layers_to_snap, similarity_metric, loss. Theirs keep weights inside
whole models, in pickles; their codes go into the file named here. Codebooks fitted here also say
their `site` and `selection`.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from core.dictionaries.files import inside, tensors
from core.dictionaries.reading import Places, Reading, places
from core.dictionaries.saelens import whole
from core.dictionaries.sparse import About, Norm, SparseDict
from core.models.door import read_json
from core.models.header import shown
from core.spec.errors import Error
from kernels.feature_topk import Activation

KINDS = ("code", "pursuit")
WEIGHTS = "codebook.safetensors"
METRICS = ("inner_product", "euclidean")
# Where a layer's codebook stands, in the words of the paper's code.
PLACES = {
    "transformer_block": "resid_post",
    "mlp": "mlp_out",
    "attention": "attn_out",
    "attn_preproj": "head",
    "preproj_attention": "head",
}
TOLERANCE = 1e-4


def fits(path: Path) -> bool:
    """Whether the folder is of this format."""
    return (path / "cfg.json").is_file() and (path / WEIGHTS).is_file()


def read(path: Path, name: str, said: Reading) -> SparseDict:
    """The codebook of a folder as a dictionary. Raises `Error`."""
    config = read_json(inside(path, "cfg.json"))
    values = tensors(inside(path, WEIGHTS))
    if config.get("num_codebooks", 1) != 1:
        raise Error(
            f"cfg.json has {shown(config['num_codebooks'])} codebooks side by side; one codebook "
            "at a time can be read, so save the codes of one"
        )
    codes = values.matrix("codes")
    bias = values.vector("bias") if "bias" in values else torch.zeros(codes.shape[1])
    k = whole(said.k or config.get("k_codebook"), "k")
    pursued = config.get("selection") == "pursuit"
    place = _place(config, said)
    notes = place.notes
    if not pursued:
        notes += ("its codes stood in the model's place behind a LayerNorm, undone here by token",)
    return SparseDict(
        name=name,
        site=place.site,
        out_site=place.out_site,
        b_in=bias if pursued else None,
        b_out=bias,
        norm=Norm() if pursued else Norm("layernorm"),
        heads=place.heads,
        about=About(
            format="codebook",
            path=str(path),
            model=config["model_name"] if isinstance(config.get("model_name"), str) else "",
            hook=place.hook,
            architecture="pursuit of codes" if pursued else "codes",
            declared_l0=0.0 if pursued else float(k),
            notes=notes,
        ),
        **(_pursued(codes, k) if pursued else _published(codes, k, config)),
    )


def _pursued(codes: Tensor, k: int) -> dict[str, Any]:
    return {
        "W_enc": codes.T.contiguous(),
        "b_enc": torch.zeros(len(codes)),
        "W_dec": codes,
        "act": Activation("pursuit", k=k),
    }


def _published(codes: Tensor, k: int, config: dict[str, Any]) -> dict[str, Any]:
    """The k codes of the largest similarity; the mean of them is written."""
    metric = config.get("similarity_metric", "inner_product")
    if metric not in METRICS:
        raise Error(f"cfg.json names the similarity {shown(metric)}; {', '.join(METRICS)} are read")
    if metric == "inner_product":
        weight, bias = normalize(codes, dim=-1), torch.zeros(len(codes))
    else:  # the nearest code: |x - c|^2 without |x|^2, halved and turned round
        weight, bias = codes, -codes.pow(2).sum(-1) / 2
    act = Activation("code", k=k)
    return {"W_enc": weight.T.contiguous(), "b_enc": bias, "W_dec": codes / k, "act": act}


def _place(config: dict[str, Any], said: Reading) -> Places:
    own = config.get("site")
    if isinstance(own, str):
        return places(said, "" if said.site else own)
    at, layers = config.get("codebook_at"), config.get("layers_to_snap")
    known = isinstance(at, str) and at in PLACES
    alone = isinstance(layers, list) and len(layers) == 1 and isinstance(layers[0], int)
    if said.site or not (known and alone):
        return places(said, "")
    assert isinstance(at, str)
    assert isinstance(layers, list)
    return places(said, f"L{layers[0]}.{PLACES[at]}")


def config_of(found: SparseDict) -> dict[str, Any]:
    """cfg.json of a codebook. Raises `Error` for one that the layout cannot say."""
    at = {component: word for word, component in PLACES.items()}.get(found.site.component)
    if found.transcoder or found.center or found.pre_scale or found.W_skip is not None:
        raise Error(f"{found.name}: a codebook writes where it reads, and weighs nothing")
    if found.norm.kind != ("none" if found.act.kind == "pursuit" else "layernorm"):
        raise Error(f"{found.name}: the layout of codebooks has no norm {found.norm.kind!r} there")
    return {
        "codebook_type": "vanilla",
        "codebook_at": at or str(found.site.component),
        "num_codes": found.n_features,
        "num_codebooks": 1,
        "k_codebook": found.act.k,
        "layers_to_snap": [found.site.layer],
        "similarity_metric": _metric(found),
        "loss": "base",
        "selection": "pursuit" if found.act.kind == "pursuit" else "nearest",
        "site": str(found.site),
        "model_name": found.about.model,
    }


def tensors_of(found: SparseDict) -> dict[str, Tensor]:
    """Codes and bias, float32 on the CPU."""
    times = found.act.k if found.act.kind == "code" else 1
    kept = {"codes": found.W_dec * times, "bias": found.b_out}
    return {name: value.detach().float().cpu().contiguous() for name, value in kept.items()}


def _metric(found: SparseDict) -> str:
    """By what its codes are chosen. Raises `Error` when that is neither."""
    codes = tensors_of(found)["codes"]
    weight, bias = found.W_enc.detach().float().cpu().T, found.b_enc.detach().float().cpu()
    if _alike(weight, normalize(codes, dim=-1)) and not bool(bias.any()):
        return "inner_product"
    if _alike(weight, codes) and _alike(bias, -codes.pow(2).sum(-1) / 2):
        return "euclidean"
    raise Error(f"{found.name}: its codes are not chosen by what they write, so it is no codebook")


def _alike(one: Tensor, other: Tensor) -> bool:
    return bool(torch.allclose(one, other, atol=TOLERANCE, rtol=TOLERANCE))
