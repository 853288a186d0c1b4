"""All neurons of a model at a glance: what each one says first, and how far it sticks out."""

import numpy as np
import torch

from core.analyses.runs import Progress
from core.engine.neuron_classes import classes, cosines
from core.engine.neuron_rows import check_weight, n_layers, neuron_rows, write_lengths
from core.engine.token_scores import (
    Vocabulary,
    affordable_draws,
    decoded,
    null_z,
    piece_table,
    vocabulary,
)
from core.models.loaded import Loaded
from core.results.neuron_map import NeuronMap


def neuron_map(
    loaded: Loaded,
    progress: Progress,
    *,
    weight: str = "out",
    against: str = "unembedding",
    stack: str = "",
) -> NeuronMap:
    """First token at both ends, z, size, cos(in, out) and class of every neuron of every layer.

    Options as in `neuron_tokens`. The null takes 2,000 random vectors per layer, fewer (down
    to 200) for vocabularies so large that they would cost more than the neurons.
    """
    layers = n_layers(loaded, stack)
    check_weight(loaded, 0, weight, stack)
    words = vocabulary(loaded, against, stack)
    draws = affordable_draws(words)
    found = []
    with loaded.busy():
        for layer in range(layers):
            progress.step(layer / layers, f"neurons of layer {layer} of {layers - 1}")
            chance = null_z(loaded, layer, weight, draws, against, stack, progress.check)
            found.append(_layer(loaded, words, layer, weight, stack, chance, progress))
    arrays = {name: np.stack([layer[name] for layer in found]) for name in found[0]}
    firsts = (torch.from_numpy(arrays[name]) for name in ("top_id", "bottom_id"))
    piece_ids, pieces = piece_table(loaded, *firsts)
    return NeuronMap(
        request={},
        pieces=pieces,
        piece_ids=piece_ids,
        weight=weight,
        against=against,
        stack=stack,
        n_vocabulary=words.n,
        n_null=draws,
        **arrays,
    )


def _layer(
    loaded: Loaded,
    words: Vocabulary,
    layer: int,
    weight: str,
    stack: str,
    chance: float,
    progress: Progress,
) -> dict[str, np.ndarray]:
    """One layer's part of every array of the result."""
    ends = decoded(words, neuron_rows(loaded, layer, weight, stack), 1, progress.check)
    cosine = cosines(loaded, layer, stack)
    return {
        "top_id": ends.top_ids[:, 0].int().cpu().numpy(),
        "bottom_id": ends.bottom_ids[:, 0].int().cpu().numpy(),
        "top_z": ends.top_z[:, 0].cpu().numpy(),
        "bottom_z": ends.bottom_z[:, 0].cpu().numpy(),
        "write_norm": write_lengths(loaded, layer, stack).cpu().numpy(),
        "linout": cosine[:, 0].numpy(),
        "code": classes(cosine).numpy(),
        "null_z": np.array(chance, "float32"),
        "decodable_share": (ends.largest_z > chance).float().mean().cpu().numpy(),
    }
