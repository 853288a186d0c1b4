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


def json_file(path: Path, plain: Any) -> None:
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
    json_file(folder / "cfg.json", config)
    save_file(tensors(w | {"b_gate": w["b_enc"]}, *names), folder / "sae_weights.safetensors")
    return folder


def saelens_flat(root: Path, w: dict[str, Array], **config: Any) -> Path:
    """A folder of before version 6."""
    folder = root / "flat"
    plain = {"hook_point": "blocks.1.hook_resid_post", "d_in": D, "d_sae": F, **config}
    json_file(folder / "cfg.json", {"model_name": "gpt2-small"} | plain)
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
    json_file(
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
    json_file(folder / "cfg.json", base | config)
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
    json_file(
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
    json_file(
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


def codebook(root: Path, w: dict[str, Array], **config: Any) -> Path:
    fields = {"codebook_type": "vanilla", "num_codes": F, "num_codebooks": 1, "k_codebook": K}
    json_file(root / "cfg.json", {**fields, "loss": "base", **config})
    stored = {"codes": torch.from_numpy(w["W_dec"])}
    if config.get("selection"):
        stored["bias"] = torch.from_numpy(w["b_dec"])
    save_file(stored, root / "codebook.safetensors")
    return root


def nearest_rule(w: dict[str, Array], metric: str) -> Rule:
    """The K most similar codes behind a LayerNorm, their mean written."""
    codes = w["W_dec"]

    def rule(x: Array) -> tuple[Array, Array]:
        mean = x.mean(1, keepdims=True)
        spread = (x - mean).std(1, ddof=1, keepdims=True)
        z = (x - mean) / (spread + 1e-5)
        if metric == "euclidean":
            score = -((z[:, None] - codes[None]) ** 2).sum(2)
        else:
            score = z @ (codes / np.linalg.norm(codes, axis=1, keepdims=True)).T
        on = np.zeros_like(score)
        np.put_along_axis(on, np.argsort(-score, axis=1)[:, :K], 1, 1)
        return on, on @ codes / K * spread + mean

    return rule


def pursuit_rule(w: dict[str, Array]) -> Rule:
    """K unit codes one after another, each taken off before the next is chosen."""

    def rule(x: Array) -> tuple[Array, Array]:
        on, left = np.zeros((len(x), F), "float32"), x - w["b_dec"]
        for row in range(len(x)):
            rest = left[row]
            for _ in range(K):
                score = w["W_dec"] @ rest
                best = int(score.argmax())
                on[row, best] += max(score[best], 0)
                rest -= max(score[best], 0) * w["W_dec"][best]
        return on, on @ w["W_dec"] + w["b_dec"]

    return rule
