"""One case for every form of every published format; see `written_formats`."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from tests.core.written_formats import (
    WEIGHTS,
    Array,
    D,
    K,
    Rule,
    Written,
    affine_rule,
    circuit_tracer,
    codebook,
    gated_rule,
    gemma_scope,
    gemma_scope_2,
    groupmax,
    json_file,
    jump,
    learned,
    linear,
    linear_maps,
    llama_scope,
    nearest_rule,
    normed_rule,
    numbers,
    openai,
    pursuit_rule,
    relu,
    rms_rule,
    saelens,
    saelens_flat,
    scaled_rule,
    skip_rule,
    sparsify,
    tensors,
    topk,
    turned,
    unit_rows,
)

Numbers = dict[str, Array]
Make = Callable[[Path, Numbers], tuple[Path, Rule]]
POST, AT_IN, AT_OUT = "L1.resid_post", "L1.mlp_in", "L1.mlp_out"
TRANSCODES = {"site": AT_IN, "out_site": AT_OUT}


def jumped(w: Numbers, *, subtract: bool, threshold: Any = None) -> Rule:
    height = w["threshold"] if threshold is None else threshold
    return linear(w, lambda pre: jump(pre, height), subtract=subtract)


def centred(inner: Rule) -> Rule:
    return lambda x: inner(x - x.mean(1, keepdims=True))


def with_scaler(root: Path, w: Numbers) -> tuple[Path, Rule]:
    folder = saelens(root, "standard", w, normalize_activations="expected_average_only_in")
    json_file(folder / "activation_scaler.json", {"scaling_factor": 0.25})
    return folder, scaled_rule(linear(w, relu, subtract=True), 0.25)


def flat_topk(root: Path, w: Numbers) -> tuple[Path, Rule]:
    said: dict[str, Any] = {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": K}}
    said["model_from_pretrained_kwargs"] = {"center_writing_weights": False}
    return saelens_flat(root, w, **said), linear(w, topk, subtract=True)


SAELENS: dict[str, Make] = {
    "saelens standard": lambda r, w: (saelens(r, "standard", w), linear(w, relu, subtract=True)),
    "saelens standard, nothing subtracted": lambda r, w: (
        saelens(r, "standard", w, apply_b_dec_to_input=False),
        linear(w, relu, subtract=False),
    ),
    "saelens gated": lambda r, w: (saelens(r, "gated", w), gated_rule(w)),
    "saelens jumprelu": lambda r, w: (saelens(r, "jumprelu", w), jumped(w, subtract=True)),
    "saelens topk": lambda r, w: (saelens(r, "topk", w, k=K), linear(w, topk, subtract=True)),
    "saelens rms": lambda r, w: (
        saelens(r, "standard", w, normalize_activations="constant_norm_rescale"),
        rms_rule(linear(w, relu, subtract=True)),
    ),
    "saelens with a scaler": with_scaler,
    "saelens flat": lambda r, w: (
        saelens_flat(r, w),
        centred(linear(w, relu, subtract=True)),
    ),
    "saelens flat topk": flat_topk,
}
SAELENS_TRANSCODERS: dict[str, Make] = {
    "saelens transcoder": lambda r, w: (
        saelens(r, "transcoder", w),
        linear(w, relu, subtract=False),
    ),
    "saelens skip_transcoder": lambda r, w: (saelens(r, "skip_transcoder", w), skip_rule(w)),
    "saelens jumprelu_transcoder": lambda r, w: (
        saelens(r, "jumprelu_transcoder", w),
        jumped(w, subtract=False),
    ),
}


def transcoding(root: Path, w: Numbers) -> tuple[Path, Rule]:
    inner = linear(w, topk, subtract=False)

    def rule(x: Array) -> tuple[Array, Array]:
        codes, y = inner(x)
        return codes, y + x @ w["W_skip"].T

    path = sparsify(root, w, "layers.1.mlp", transcode=True, skip_connection=True)
    return path, rule


SCOPES: dict[str, Make] = {
    "gemma scope": lambda r, w: (gemma_scope(r, w), jumped(w, subtract=False)),
    "gemma scope, lower case": lambda r, w: (
        gemma_scope(r, w, lower=True),
        jumped(w, subtract=False),
    ),
    "sparsify": lambda r, w: (sparsify(r, w, "layers.1"), linear(w, topk, subtract=True)),
    "openai TopK": lambda r, w: (
        openai(r, w, "TopK"),
        normed_rule(linear(w, topk, subtract=True)),
    ),
    "openai ReLU": lambda r, w: (openai(r, w, "ReLU"), centred(linear(w, relu, subtract=True))),
    "llama scope": lambda r, w: (
        llama_scope(r, w),
        scaled_rule(jumped(w, subtract=False, threshold=0.3), D**0.5 / 5.0),
    ),
}


def _bias(w: Numbers, name: str) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(w["b_dec"])}


def _linear_maps(kind: str, bias: str, w: Numbers, root: Path, **more: Any) -> Path:
    return learned(root, kind, w, **linear_maps(w), **_bias(w, bias), **more)


def gated(root: Path, w: Numbers) -> tuple[Path, Rule]:
    stored = {k: v for k, v in linear_maps(w).items() if k != "encoder.bias"}
    stored |= _bias(w, "decoder_bias") | {"r_mag": torch.tensor(w["r_mag"])}
    stored |= {"gate_bias": torch.tensor(w["b_enc"]), "mag_bias": torch.tensor(w["b_mag"])}
    return learned(root, "GatedAutoEncoder", w, **stored), gated_rule(w)


SET, NEVER = ({"threshold": torch.tensor(v), "k": torch.tensor(K)} for v in (0.4, -1.0))
LEARNED: dict[str, Make] = {
    "AutoEncoder": lambda r, w: (
        _linear_maps("AutoEncoder", "bias", w, r),
        linear(unit_rows(w), relu, subtract=True),
    ),
    "AutoEncoderNew": lambda r, w: (
        _linear_maps("AutoEncoderNew", "decoder.bias", w, r),
        linear(w, relu, subtract=False),
    ),
    "GatedAutoEncoder": gated,
    "AutoEncoderTopK": lambda r, w: (
        _linear_maps("AutoEncoderTopK", "b_dec", w, r, **NEVER),
        linear(w, topk, subtract=True),
    ),
    "BatchTopKSAE": lambda r, w: (
        _linear_maps("BatchTopKSAE", "b_dec", w, r, **SET),
        jumped(w, subtract=True, threshold=0.4),
    ),
    "BatchTopKSAE without a threshold": lambda r, w: (
        _linear_maps("BatchTopKSAE", "b_dec", w, r, **NEVER),
        linear(w, topk, subtract=True),
    ),
    "MatryoshkaBatchTopKSAE": lambda r, w: (
        learned(r, "MatryoshkaBatchTopKSAE", w, **tensors(w, *WEIGHTS), **SET),
        jumped(w, subtract=True, threshold=0.4),
    ),
    "JumpReluAutoEncoder": lambda r, w: (
        learned(r, "JumpReluAutoEncoder", w, **tensors(w, *WEIGHTS, "threshold")),
        jumped(w, subtract=False),
    ),
}


def deepseek(root: Path, w: Numbers) -> tuple[Path, Rule]:
    path = root / "some_model_l1_sae.pt"
    torch.save(linear_maps(w) | _bias(w, "decoder.bias"), path)
    return path, linear(w, relu, subtract=False)


def qwen(root: Path, w: Numbers) -> tuple[Path, Rule]:
    stored = {name: turned(w, name) for name in ("W_enc", "W_dec")}
    torch.save(stored | tensors(w, "b_enc", "b_dec"), root / "layer1.sae.pt")
    return root / "layer1.sae.pt", linear(w, topk, subtract=False)


def attention(root: Path, w: Numbers) -> tuple[Path, Rule]:
    torch.save(tensors(w, *WEIGHTS), root / "old.pt")
    said = {"act_size": D, "dict_size": len(w["b_enc"]), "act_name": "blocks.1.attn.hook_z"}
    json_file(root / "old_cfg.json", said)
    return root / "old.pt", linear(w, relu, subtract=True)


def plain(root: Path, w: Numbers) -> tuple[Path, Rule]:
    save_file(tensors(w, *WEIGHTS), root / "mine.safetensors")
    return root / "mine.safetensors", linear(w, relu, subtract=True)


def nearest(root: Path, w: Numbers, metric: str) -> tuple[Path, Rule]:
    said = {"codebook_at": "mlp", "layers_to_snap": [1], "similarity_metric": metric}
    return codebook(root, w, **said), nearest_rule(w, metric)


def pursued(root: Path, w: Numbers) -> tuple[Path, Rule]:
    w = unit_rows(w)
    return codebook(root, w, selection="pursuit", site="L1.head"), pursuit_rule(w)


# name: (what makes it, where it reads and writes, what has to be said)
CASES: dict[str, tuple[Make, dict[str, str], dict[str, Any]]] = {
    **{name: (make, {}, {}) for name, make in (SAELENS | SCOPES | LEARNED).items()},
    **{name: (make, TRANSCODES, {}) for name, make in SAELENS_TRANSCODERS.items()},
    "gemma scope 2": (lambda r, w: (gemma_scope_2(r, w), affine_rule(w)), TRANSCODES, {}),
    "sparsify groupmax": (
        lambda r, w: (
            sparsify(r, w, "h.1.mlp", activation="groupmax"),
            linear(w, groupmax, subtract=True),
        ),
        {"site": AT_OUT},
        {},
    ),
    "sparsify transcoder": (transcoding, TRANSCODES, {}),
    "circuit-tracer": (lambda r, w: (circuit_tracer(r, w), skip_rule(w)), TRANSCODES, {}),
    **{
        f"codebook {metric}": (partial(nearest, metric=metric), {"site": AT_OUT}, {})
        for metric in ("inner_product", "euclidean")
    },
    "codebook by pursuit": (pursued, {"site": "L1.head"}, {}),
    "linear maps in one file": (deepseek, {}, {}),
    "features first in one file": (qwen, {}, {"k": K}),
    "attention dictionary": (attention, {"site": "L1.head"}, {}),
    "W_enc and W_dec alone": (plain, {}, {"site": POST, "subtract": True}),
}


def written(root: Path) -> dict[str, Written]:
    """Every case in a folder of its own, from random numbers of its own."""
    found = {}
    for number, (name, (make, places, said)) in enumerate(CASES.items()):
        place = root / name
        place.mkdir()
        path, rule = make(place, numbers(number))
        found[name] = Written(path, rule, **{"site": POST, "said": said, **places})
    return found


def given(n: int) -> Array:
    """Activations [n, D] float32."""
    return np.random.default_rng(99).normal(size=(n, D)).astype("float32")
