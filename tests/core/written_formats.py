"""The same random numbers in every published format, and that format's own rule in plain numpy.

Each writer makes a folder or a file below `root` and gives its path; each rule gives activations
[token, feature] and what is written, from the activations x as the model holds them. Nothing of the
package is used here.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

D, F, K, N = 8, 24, 4, 16
Array = np.ndarray
Rule = Callable[[Array], tuple[Array, Array]]


@dataclass(frozen=True)
class Written:
    """A dictionary on disk: its path, its rule, what it is opened with, and where it belongs."""

    path: Path
    rule: Rule
    site: str
    said: dict[str, Any]
    out_site: str = ""


def numbers(seed: int) -> dict[str, Array]:
    """Random weights; thresholds are above zero and decoder rows of different lengths."""
    random = np.random.default_rng(seed)

    def normal(*shape: int, size: float = 0.4) -> Array:
        return (random.normal(size=shape) * size).astype("float32")

    return {
        "W_enc": normal(D, F),
        "b_enc": normal(F, size=0.1),
        "W_dec": normal(F, D),
        "b_dec": normal(D, size=0.2),
        "threshold": random.uniform(0.1, 0.5, F).astype("float32"),
        "r_mag": normal(F),
        "b_mag": normal(F, size=0.1),
        "W_skip": normal(D, D),
    }


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def topk(pre: Array, k: int = K) -> Array:
    kept = np.zeros_like(pre)
    best = np.argsort(-pre, axis=1)[:, :k]
    np.put_along_axis(kept, best, relu(np.take_along_axis(pre, best, 1)), 1)
    return kept


def groupmax(pre: Array) -> Array:
    groups = pre.reshape(len(pre), K, -1)
    best = groups.max(axis=2, keepdims=True)
    return np.where(groups == best, relu(groups), 0).reshape(pre.shape)


def jump(pre: Array, threshold: Any) -> Array:
    return np.where(pre > threshold, relu(pre), 0)


def linear(w: dict[str, Array], act: Callable[[Array], Array], *, subtract: bool) -> Rule:
    """act((x - b) W_enc + b_enc), times W_dec plus b."""

    def rule(x: Array) -> tuple[Array, Array]:
        z = x - w["b_dec"] if subtract else x
        codes = act(z @ w["W_enc"] + w["b_enc"])
        return codes, codes @ w["W_dec"] + w["b_dec"]

    return rule


def tensors(w: dict[str, Array], *names: str) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(w[name]) for name in names}


def turned(w: dict[str, Array], name: str) -> torch.Tensor:
    return torch.tensor(np.ascontiguousarray(w[name].T))


def _json(path: Path, plain: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain))


WEIGHTS = ("W_enc", "b_enc", "W_dec", "b_dec")


def saelens(root: Path, architecture: str, w: dict[str, Array], **more: Any) -> Path:
    """A folder of version 6."""
    folder = root / architecture
    names = {
        "gated": ("W_enc", "b_gate", "W_dec", "b_dec", "r_mag", "b_mag"),
        "jumprelu": (*WEIGHTS, "threshold"),
        "skip_transcoder": (*WEIGHTS, "W_skip"),
        "jumprelu_transcoder": (*WEIGHTS, "threshold"),
    }.get(architecture, WEIGHTS)
    about = {"model_name": "small", "hook_name": "blocks.1.hook_resid_post", "context_size": 32}
    if "transcoder" in architecture:
        about |= {"hook_name": "blocks.1.mlp.hook_in", "hook_name_out": "blocks.1.hook_mlp_out"}
    about |= more.pop("metadata", {})
    config = {"architecture": architecture, "d_in": D, "d_sae": F, "metadata": about, **more}
    _json(folder / "cfg.json", config)
    save_file(tensors(w | {"b_gate": w["b_enc"]}, *names), folder / "sae_weights.safetensors")
    return folder


def saelens_flat(root: Path, w: dict[str, Array], **config: Any) -> Path:
    """A folder of before version 6."""
    folder = root / "flat"
    plain = {"hook_point": "blocks.1.hook_resid_post", "d_in": D, "d_sae": F, **config}
    _json(folder / "cfg.json", {"model_name": "gpt2-small"} | plain)
    save_file(
        tensors(w, *WEIGHTS) | {"scaling_factor": torch.ones(F)}, folder / "sae_weights.safetensors"
    )
    return folder


def gated_rule(w: dict[str, Array]) -> Rule:
    def rule(x: Array) -> tuple[Array, Array]:
        z = x - w["b_dec"]
        gate = z @ w["W_enc"] + w["b_enc"] > 0
        codes = gate * relu(z @ (w["W_enc"] * np.exp(w["r_mag"])) + w["b_mag"])
        return codes, codes @ w["W_dec"] + w["b_dec"]

    return rule


def skip_rule(w: dict[str, Array]) -> Rule:
    plain = linear(w, relu, subtract=False)

    def rule(x: Array) -> tuple[Array, Array]:
        codes, y = plain(x)
        return codes, y + x @ w["W_skip"].T

    return rule


def scaled_rule(inner: Rule, factor: float) -> Rule:
    def rule(x: Array) -> tuple[Array, Array]:
        codes, y = inner(x * factor)
        return codes, y / factor

    return rule


def normed_rule(inner: Rule) -> Rule:
    """Mean removed, over the unbiased deviation + 1e-5; back by the deviation."""

    def rule(x: Array) -> tuple[Array, Array]:
        x = x - x.mean(1, keepdims=True)  # the stream is centred first
        mean = x.mean(1, keepdims=True)
        std = x.std(1, ddof=1, keepdims=True)
        codes, y = inner((x - mean) / (std + 1e-5))
        return codes, y * std + mean

    return rule


def rms_rule(inner: Rule) -> Rule:
    def rule(x: Array) -> tuple[Array, Array]:
        factor = D**0.5 / np.linalg.norm(x, axis=1, keepdims=True)
        codes, y = inner(x * factor)
        return codes, y / factor

    return rule


def gemma_scope(root: Path, w: dict[str, Array], *, lower: bool = False) -> Path:
    folder = root / "gemma-scope-2b-pt-res" / "layer_1" / "width_16k" / "average_l0_7"
    folder.mkdir(parents=True)
    named = {("w" + k[1:] if lower and k[0] == "W" else k): w[k] for k in (*WEIGHTS, "threshold")}
    np.savez(folder / "params.npz", **named)
    return folder


def gemma_scope_2(root: Path, w: dict[str, Array]) -> Path:
    folder = root / "gemma-scope-2-1b-pt" / "transcoder" / "layer_1_width_16k_l0_small_affine"
    _json(
        folder / "config.json",
        {
            "architecture": "jump_relu",
            "hf_hook_point_in": "model.layers.1.pre_feedforward_layernorm.output",
            "hf_hook_point_out": "model.layers.1.post_feedforward_layernorm.output",
        },
    )
    stored = {k.lower(): v for k, v in tensors(w, *WEIGHTS, "threshold").items()}
    stored["affine_skip_connection"] = torch.tensor(w["W_skip"])
    save_file(stored, folder / "params.safetensors")
    return folder


def affine_rule(w: dict[str, Array]) -> Rule:
    plain = linear(w, lambda pre: jump(pre, w["threshold"]), subtract=False)

    def rule(x: Array) -> tuple[Array, Array]:
        codes, y = plain(x)
        return codes, y + x @ w["W_skip"]

    return rule


def sparsify(root: Path, w: dict[str, Array], module: str, **config: Any) -> Path:
    folder = root / module
    base = {"expansion_factor": 3, "num_latents": 0, "k": K, "normalize_decoder": True, "d_in": D}
    _json(folder / "cfg.json", base | config)
    stored = {
        "encoder.weight": turned(w, "W_enc"),
        "encoder.bias": torch.tensor(w["b_enc"]),
        **tensors(w, "W_dec", "b_dec"),
    }
    if config.get("skip_connection"):
        stored["W_skip"] = torch.tensor(w["W_skip"])
    save_file(stored, folder / "sae.safetensors")
    return folder


def learned(root: Path, kind: str, w: dict[str, Array], **stored: Any) -> Path:
    """A folder of dictionary_learning."""
    folder = root / kind
    _json(
        folder / "config.json",
        {
            "trainer": {
                "dict_class": kind,
                "activation_dim": D,
                "dict_size": F,
                "k": K,
                "layer": 1,
                "lm_name": "small",
                "submodule_name": "resid_post_layer_1",
            },
            "buffer": {"ctx_len": 64},
        },
    )
    torch.save(stored, folder / "ae.pt")
    return folder


def linear_maps(w: dict[str, Array]) -> dict[str, torch.Tensor]:
    return {
        "encoder.weight": turned(w, "W_enc"),
        "encoder.bias": torch.tensor(w["b_enc"]),
        "decoder.weight": turned(w, "W_dec"),
    }


def unit_rows(w: dict[str, Array]) -> dict[str, Array]:
    rows = w["W_dec"] / np.linalg.norm(w["W_dec"], axis=1, keepdims=True)
    return {**w, "W_dec": rows}


def openai(root: Path, w: dict[str, Array], activation: str) -> Path:
    folder = root / "resid_post_mlp_v5_32k" / "autoencoders"
    folder.mkdir(parents=True)
    stored: dict[str, Any] = {
        "pre_bias": torch.tensor(w["b_dec"]),
        "encoder.weight": turned(w, "W_enc"),
        "latent_bias": torch.tensor(w["b_enc"]),
        "decoder.weight": turned(w, "W_dec"),
        "stats_last_nonzero": torch.zeros(F, dtype=torch.long),
        "activation": activation,
    }
    if activation == "TopK":
        stored["activation_state_dict"] = {"k": K, "postact_fn": "ReLU"}
    torch.save(stored, folder / "1.pt")
    return folder / "1.pt"


def llama_scope(root: Path, w: dict[str, Array]) -> Path:
    folder = root / "Llama3_1-8B-Base-L1R-8x"
    _json(
        folder / "hyperparams.json",
        {
            "d_model": D,
            "d_sae": F,
            "jump_relu_threshold": 0.3,
            "dataset_average_activation_norm": {"in": 5.0, "out": 5.0},
            "hook_point_in": "blocks.1.hook_resid_post",
            "hook_point_out": "blocks.1.hook_resid_post",
        },
    )
    (folder / "checkpoints").mkdir()
    stored = linear_maps(w) | {"decoder.bias": torch.tensor(w["b_dec"])}
    save_file(stored, folder / "checkpoints" / "final.safetensors")
    return folder


def circuit_tracer(root: Path, w: dict[str, Array]) -> Path:
    folder = root / "transcoders"
    folder.mkdir()
    (folder / "config.yaml").write_text(
        "model_name: small/model\nmodel_kind: transcoder_set\n"
        'feature_input_hook: "mlp.hook_in"\nfeature_output_hook: hook_mlp_out\n'
        "transcoders:\n  - hf://somewhere/else\n"
    )
    stored = {"W_enc": turned(w, "W_enc"), **tensors(w, "b_enc", "W_dec", "b_dec", "W_skip")}
    save_file(stored, folder / "layer_1.safetensors")
    return folder / "layer_1.safetensors"


def written(root: Path) -> dict[str, Written]:
    """Every format once or more, each from random numbers of its own."""
    w = [numbers(seed) for seed in range(40)]
    take = iter(w)
    found: dict[str, Written] = {}
    post, at_in, at_out = "L1.resid_post", "L1.mlp_in", "L1.mlp_out"

    def new(name: str, make: Callable[[Path, dict[str, Array]], tuple[Path, Rule]], **more: Any):
        place = root / name
        place.mkdir()
        path, rule = make(place, next(take))
        found[name] = Written(
            path, rule, more.get("site", post), more.get("said", {}), more.get("out", "")
        )

    new(
        "saelens standard",
        lambda r, w: (saelens(r, "standard", w), linear(w, relu, subtract=True)),
    )
    new(
        "saelens standard, nothing subtracted",
        lambda r, w: (
            saelens(r, "standard", w, apply_b_dec_to_input=False),
            linear(w, relu, subtract=False),
        ),
    )
    new("saelens gated", lambda r, w: (saelens(r, "gated", w), gated_rule(w)))
    new(
        "saelens jumprelu",
        lambda r, w: (
            saelens(r, "jumprelu", w),
            linear(w, lambda pre: jump(pre, w["threshold"]), subtract=True),
        ),
    )
    new("saelens topk", lambda r, w: (saelens(r, "topk", w, k=K), linear(w, topk, subtract=True)))
    new(
        "saelens rms",
        lambda r, w: (
            saelens(r, "standard", w, normalize_activations="constant_norm_rescale"),
            rms_rule(linear(w, relu, subtract=True)),
        ),
    )

    def with_scaler(r: Path, w: dict[str, Array]) -> tuple[Path, Rule]:
        folder = saelens(r, "standard", w, normalize_activations="expected_average_only_in")
        _json(folder / "activation_scaler.json", {"scaling_factor": 0.25})
        return folder, scaled_rule(linear(w, relu, subtract=True), 0.25)

    new("saelens with a scaler", with_scaler)
    for kind in ("transcoder", "skip_transcoder", "jumprelu_transcoder"):

        def make(r: Path, w: dict[str, Array], kind: str = kind) -> tuple[Path, Rule]:
            rules = {
                "transcoder": linear(w, relu, subtract=False),
                "skip_transcoder": skip_rule(w),
                "jumprelu_transcoder": linear(
                    w, lambda pre: jump(pre, w["threshold"]), subtract=False
                ),
            }
            return saelens(r, kind, w), rules[kind]

        new(f"saelens {kind}", make, site=at_in, out=at_out)

    def centred(inner: Rule) -> Rule:
        return lambda x: inner(x - x.mean(1, keepdims=True))

    new(
        "saelens flat",
        lambda r, w: (saelens_flat(r, w), centred(linear(w, relu, subtract=True))),
    )
    new(
        "saelens flat topk",
        lambda r, w: (
            saelens_flat(
                r,
                w,
                activation_fn_str="topk",
                activation_fn_kwargs={"k": K},
                model_from_pretrained_kwargs={"center_writing_weights": False},
            ),
            linear(w, topk, subtract=True),
        ),
    )
    new(
        "gemma scope",
        lambda r, w: (
            gemma_scope(r, w),
            linear(w, lambda pre: jump(pre, w["threshold"]), subtract=False),
        ),
    )
    new(
        "gemma scope, lower case",
        lambda r, w: (
            gemma_scope(r, w, lower=True),
            linear(w, lambda pre: jump(pre, w["threshold"]), subtract=False),
        ),
    )
    new(
        "gemma scope 2",
        lambda r, w: (gemma_scope_2(r, w), affine_rule(w)),
        site=at_in,
        out=at_out,
    )
    new(
        "sparsify",
        lambda r, w: (sparsify(r, w, "layers.1"), linear(w, topk, subtract=True)),
    )
    new(
        "sparsify groupmax",
        lambda r, w: (
            sparsify(r, w, "h.1.mlp", activation="groupmax"),
            linear(w, groupmax, subtract=True),
        ),
        site=at_out,
    )

    def transcoding(r: Path, w: dict[str, Array]) -> tuple[Path, Rule]:
        inner = linear(w, topk, subtract=False)

        def rule(x: Array) -> tuple[Array, Array]:
            codes, y = inner(x)
            return codes, y + x @ w["W_skip"].T

        return sparsify(r, w, "layers.1.mlp", transcode=True, skip_connection=True), rule

    new("sparsify transcoder", transcoding, site=at_in, out=at_out)
    _learned(new)
    for activation in ("TopK", "ReLU"):

        def make_openai(
            r: Path, w: dict[str, Array], activation: str = activation
        ) -> tuple[Path, Rule]:
            if activation == "ReLU":
                return openai(r, w, activation), centred(linear(w, relu, subtract=True))
            return openai(r, w, activation), normed_rule(linear(w, topk, subtract=True))

        new(f"openai {activation}", make_openai)
    new(
        "llama scope",
        lambda r, w: (
            llama_scope(r, w),
            scaled_rule(linear(w, lambda pre: jump(pre, 0.3), subtract=False), D**0.5 / 5.0),
        ),
    )
    new(
        "circuit-tracer",
        lambda r, w: (circuit_tracer(r, w), skip_rule(w)),
        site=at_in,
        out=at_out,
    )
    _single(new)
    return found


def _learned(new: Callable[..., None]) -> None:
    def bias(w: dict[str, Array], name: str) -> dict[str, torch.Tensor]:
        return {name: torch.tensor(w["b_dec"])}

    def threshold(value: float) -> dict[str, torch.Tensor]:
        return {"threshold": torch.tensor(value), "k": torch.tensor(K)}

    new(
        "AutoEncoder",
        lambda r, w: (
            learned(r, "AutoEncoder", w, **linear_maps(w), **bias(w, "bias")),
            linear(unit_rows(w), relu, subtract=True),
        ),
    )
    new(
        "AutoEncoderNew",
        lambda r, w: (
            learned(r, "AutoEncoderNew", w, **linear_maps(w), **bias(w, "decoder.bias")),
            linear(w, relu, subtract=False),
        ),
    )
    new(
        "GatedAutoEncoder",
        lambda r, w: (
            learned(
                r,
                "GatedAutoEncoder",
                w,
                **{k: v for k, v in linear_maps(w).items() if k != "encoder.bias"},
                **bias(w, "decoder_bias"),
                r_mag=torch.tensor(w["r_mag"]),
                gate_bias=torch.tensor(w["b_enc"]),
                mag_bias=torch.tensor(w["b_mag"]),
            ),
            gated_rule(w),
        ),
    )
    new(
        "AutoEncoderTopK",
        lambda r, w: (
            learned(
                r, "AutoEncoderTopK", w, **linear_maps(w), **bias(w, "b_dec"), **threshold(-1.0)
            ),
            linear(w, topk, subtract=True),
        ),
    )
    new(
        "BatchTopKSAE",
        lambda r, w: (
            learned(r, "BatchTopKSAE", w, **linear_maps(w), **bias(w, "b_dec"), **threshold(0.4)),
            linear(w, lambda pre: jump(pre, 0.4), subtract=True),
        ),
    )
    new(
        "BatchTopKSAE without a threshold",
        lambda r, w: (
            learned(r, "BatchTopKSAE", w, **linear_maps(w), **bias(w, "b_dec"), **threshold(-1.0)),
            linear(w, topk, subtract=True),
        ),
    )
    new(
        "MatryoshkaBatchTopKSAE",
        lambda r, w: (
            learned(r, "MatryoshkaBatchTopKSAE", w, **tensors(w, *WEIGHTS), **threshold(0.4)),
            linear(w, lambda pre: jump(pre, 0.4), subtract=True),
        ),
    )
    new(
        "JumpReluAutoEncoder",
        lambda r, w: (
            learned(r, "JumpReluAutoEncoder", w, **tensors(w, *WEIGHTS, "threshold")),
            linear(w, lambda pre: jump(pre, w["threshold"]), subtract=False),
        ),
    )


def _single(new: Callable[..., None]) -> None:
    def deepseek(r: Path, w: dict[str, Array]) -> tuple[Path, Rule]:
        stored = linear_maps(w) | {"decoder.bias": torch.tensor(w["b_dec"])}
        torch.save(stored, r / "some_model_l1_sae.pt")
        return r / "some_model_l1_sae.pt", linear(w, relu, subtract=False)

    def qwen(r: Path, w: dict[str, Array]) -> tuple[Path, Rule]:
        stored = {name: turned(w, name) for name in ("W_enc", "W_dec")}
        torch.save(stored | tensors(w, "b_enc", "b_dec"), r / "layer1.sae.pt")
        return r / "layer1.sae.pt", linear(w, topk, subtract=False)

    def attention(r: Path, w: dict[str, Array]) -> tuple[Path, Rule]:
        torch.save(tensors(w, *WEIGHTS), r / "old.pt")
        _json(
            r / "old_cfg.json",
            {"act_size": D, "dict_size": F, "act_name": "blocks.1.attn.hook_z"},
        )
        return r / "old.pt", linear(w, relu, subtract=True)

    def plain(r: Path, w: dict[str, Array]) -> tuple[Path, Rule]:
        save_file(tensors(w, *WEIGHTS), r / "mine.safetensors")
        return r / "mine.safetensors", linear(w, relu, subtract=True)

    new("linear maps in one file", deepseek)
    new("features first in one file", qwen, said={"k": K})
    new("attention dictionary", attention, site="L1.head")
    new("W_enc and W_dec alone", plain, said={"site": "L1.resid_post", "subtract": True})
