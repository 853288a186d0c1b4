"""TopK dictionaries on the residual stream: training, storing and reading back.

Stored in the layout of SAELens 6: cfg.json and sae_weights.safetensors, reading raw states of the
site.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from core.dictionaries.save import VERSION
from tools.embedded.mix import Mix
from tools.embedded.reading import Reader
from tools.embedded.settings import work_folder

FEATURES, K = 2048, 16
BATCH = 1024
SKIPPED = 4  # first positions of every row, where states are unlike all others
SILENT_STEPS = 100  # a feature silent for so many batches is dead and gets the auxiliary loss
AUXILIARY, DEAD_AT_ONCE = 1 / 16, 32
RATE, WARM_UP = 1e-3, 50
GATHERED_ROWS = 64  # rows of text whose states are shuffled together
SHARES = (0.72, 0.28, 0.0)


@dataclass
class Dictionary:
    """Reads x [position, width]: features are the K largest of (x - b_dec) W_enc + b_enc, cut at
    zero.
    """

    W_enc: Tensor  # [width, feature]
    b_enc: Tensor  # [feature]
    W_dec: Tensor  # [feature, width], rows of length one
    b_dec: Tensor  # [width]
    layer: int  # states after this block, counted from 1

    def encode(self, x: Tensor) -> Tensor:
        before = (x - self.b_dec) @ self.W_enc + self.b_enc
        values, places = before.topk(K, dim=-1)
        return torch.zeros_like(before).scatter(-1, places, values.relu())

    def decode(self, features: Tensor) -> Tensor:
        return features @ self.W_dec + self.b_dec

    @property
    def site(self) -> str:
        return f"L{self.layer - 1}.resid_post"


def states_of(reader: Reader, mix: Mix, layers: tuple[int, ...], rows: int) -> dict[int, Tensor]:
    """States after the layers on fresh rows of text, without the first positions, shuffled alike:
    [position, width].
    """
    parts = []
    for _ in range(rows // 8):
        ids, _ = mix.batch(8, SHARES, 3)
        with torch.autocast("cpu", torch.bfloat16):
            parts.append(reader.states(ids)[list(layers), :, SKIPPED:].float().flatten(1, 2))
    found = torch.cat(parts, dim=1)
    order = torch.randperm(found.shape[1])
    return {layer: found[at][order] for at, layer in enumerate(layers)}


class Trainer:
    """One dictionary in training; its coordinates are centred and of unit mean square.

    Which features are active is found with one product in bf16; values and gradients are then made
    for the active ones only, which is several times faster on a CPU than full products.
    """

    def __init__(self, layer: int, sample: Tensor, steps: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.layer, self.steps, self.step = layer, steps, 0
        self.mean = sample.mean(0)
        self.scale = (sample - self.mean).pow(2).mean().sqrt()
        decoder = functional.normalize(torch.randn(FEATURES, sample.shape[1]), dim=-1)
        self.W_dec = decoder.clone().requires_grad_()
        self.readers = decoder.clone().requires_grad_()  # rows of the encoder, [feature, width]
        self.b_enc = torch.zeros(FEATURES, requires_grad=True)
        self.b_dec = torch.zeros(sample.shape[1], requires_grad=True)
        self.silent = torch.zeros(FEATURES)
        parameters = [self.readers, self.W_dec, self.b_enc, self.b_dec]
        self.optimizer = torch.optim.Adam(parameters, lr=RATE, fused=True)

    def update(self, states: Tensor) -> float:
        """One step on states [position, width]; returns the unexplained share of variance."""
        left = 1 - self.step / self.steps
        for group in self.optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (self.step + 1) / WARM_UP, 4 * left)
        x = (states - self.mean) / self.scale
        centred = x - self.b_dec
        with torch.no_grad():
            product = centred.bfloat16() @ self.readers.T.bfloat16()
            places = (product.float() + self.b_enc).topk(K, dim=-1).indices
        rows = functional.embedding(places, self.readers)  # [position, K, width]
        values = ((rows * centred[:, None]).sum(-1) + self.b_enc[places]).relu()
        written = functional.embedding(places, self.W_dec)
        error = centred - (values[..., None] * written).sum(1)
        unexplained = error.pow(2).mean()
        loss = unexplained + AUXILIARY * self.revive(centred, error.detach())
        loss.backward()
        with torch.no_grad():
            along = (self.W_dec.grad * self.W_dec).sum(-1, keepdim=True)
            self.W_dec.grad -= along * self.W_dec
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            self.W_dec /= self.W_dec.norm(dim=-1, keepdim=True)
            self.silent += 1
            self.silent[places[values > 0]] = 0
        self.step += 1
        return unexplained.item()

    def revive(self, centred: Tensor, error: Tensor) -> Tensor:
        """Dead features learn what the living ones leave over."""
        dead = (self.silent >= SILENT_STEPS).nonzero().flatten()
        if not len(dead):
            return error.new_zeros(())
        before = centred @ self.readers[dead].T + self.b_enc[dead]
        values, places = before.topk(min(DEAD_AT_ONCE, len(dead)), dim=-1)
        features = torch.zeros_like(before).scatter(-1, places, values.relu())
        return (error - features @ self.W_dec[dead]).pow(2).mean()

    @torch.no_grad()
    def finished(self) -> Dictionary:
        """Centring and scale folded in: it reads raw states, decoder rows have length one."""
        return Dictionary(
            self.readers.T.clone().contiguous(),
            self.b_enc * self.scale,
            self.W_dec.clone(),
            self.mean + self.scale * self.b_dec,
            self.layer,
        )


def train(
    folder: Path, layers: tuple[int, ...], steps: int, seed: int = 7
) -> dict[int, Dictionary]:
    """Train one dictionary per layer on the same stream of text."""
    torch.set_num_threads(int(os.environ.get("EIDOSCOPE_THREADS", "1")))
    reader, mix = Reader.open(folder), Mix(folder, seed)
    reader.model.set_attn_implementation("eager")  # faster than fused attention on a CPU
    torch.manual_seed(seed)
    sample = states_of(reader, mix, layers, 4 * GATHERED_ROWS)
    trainers = {layer: Trainer(layer, sample[layer], steps, seed + layer) for layer in layers}
    done, began = 0, time.monotonic()
    while done < steps:
        states = states_of(reader, mix, layers, GATHERED_ROWS)
        for start in range(0, len(states[layers[0]]) - BATCH + 1, BATCH):
            losses = {
                layer: trainers[layer].update(states[layer][start : start + BATCH])
                for layer in layers
            }
            done += 1
            if done % 250 == 0:
                dead = {
                    layer: int((one.silent >= SILENT_STEPS).sum())
                    for layer, one in trainers.items()
                }
                print(
                    json.dumps(
                        {
                            "step": done,
                            "seconds": round(time.monotonic() - began),
                            "unexplained": {k: round(v, 4) for k, v in losses.items()},
                            "silent": dead,
                        }
                    ),
                    flush=True,
                )
            if done == steps:
                break
            while (work_folder() / "PAUSE").exists():
                time.sleep(2)
    return {layer: one.finished() for layer, one in trainers.items()}


def save(dictionary: Dictionary, folder: Path, model: str, trained_on: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: getattr(dictionary, name).to(torch.bfloat16).contiguous()
        for name in ("W_enc", "b_enc", "W_dec", "b_dec")
    }
    save_file(tensors, folder / "sae_weights.safetensors")
    (folder / "sae_weights.safetensors").chmod(0o644)
    (folder / "cfg.json").write_text(
        json.dumps(
            {
                "architecture": "topk",
                "d_in": dictionary.W_enc.shape[0],
                "d_sae": FEATURES,
                "k": K,
                "dtype": "bfloat16",
                "device": "cpu",
                "apply_b_dec_to_input": True,
                "normalize_activations": "none",
                "reshape_activations": "none",
                "rescale_acts_by_decoder_norm": False,
                "metadata": {
                    "sae_lens_version": VERSION,  # without it SAELens reads an older layout
                    "model_name": model,
                    "hook_name": f"blocks.{dictionary.layer - 1}.hook_resid_post",
                    "site": dictionary.site,
                    "hook_head_index": None,
                    "context_size": 256,
                    "prepend_bos": True,
                    "training_tokens": trained_on,
                    "skipped_positions": SKIPPED,
                },
            },
            indent=1,
        )
        + "\n"
    )


def load(folder: Path) -> Dictionary:
    tensors = {
        name: value.float() for name, value in load_file(folder / "sae_weights.safetensors").items()
    }
    hook = json.loads((folder / "cfg.json").read_text())["metadata"]["hook_name"]
    return Dictionary(**tensors, layer=int(hook.split(".")[1]) + 1)
