"""What every neuron does with what it reads: strengthens it, weakens it, or neither."""

import numpy as np
import torch

from core.analyses.runs import Progress
from core.engine.neuron_classes import (
    THRESHOLD,
    band,
    classes,
    cosines,
    isotropic_band,
    paired,
    unit_rows,
)
from core.engine.neuron_rows import has_gate, n_layers
from core.models.loaded import Loaded
from core.results.neuron_classes import CLASSES, NeuronClasses

N_SHUFFLES = 20


def neuron_classes(loaded: Loaded, progress: Progress, *, stack: str = "") -> NeuronClasses:
    """The read/write class of every neuron, and the counts per layer beside mismatched pairs.

    "Understanding Gated Neurons in Transformers from Their Input-Output Functionality". Cosines
    of the folded vectors are rounded at 0.5. Without a gate: strengthening, weakening or
    orthogonal by cos(in, out) alone.
    stack  "enc" for the encoder of an encoder-decoder
    """
    layers = n_layers(loaded, stack)
    found, codes, controls, bands = [], [], [], []
    with loaded.busy():
        for layer in range(layers):
            progress.step(layer / layers, f"layer {layer} of {layers - 1}")
            found.append(cosines(loaded, layer, stack))
            codes.append(classes(found[-1]).numpy())
            bands.append(band(loaded, layer, stack))
            controls.append(_mismatched(loaded, layer, stack))
    values = torch.stack(found).numpy()
    return NeuronClasses(
        request={},
        stack=stack,
        gated=has_gate(loaded, stack),
        threshold=THRESHOLD,
        n_shuffles=N_SHUFFLES,
        isotropic=isotropic_band(loaded.d_model),
        count=np.stack([_counts(each) for each in codes]),
        control_count=np.stack(controls).astype("float32"),
        code=np.stack(codes),
        linout=values[..., 0],
        gatelin=values[..., 1],
        gateout=values[..., 2],
        band=np.stack(bands),
    )


def _mismatched(loaded: Loaded, layer: int, stack: str) -> np.ndarray:
    """[class] neurons per class when `in`, `gate` and `out` come from three different neurons."""
    out, read, gate = unit_rows(loaded, layer, stack)
    n, counts = len(out), []
    for number in range(N_SHUFFLES):
        # Two different shifts, neither of them a whole turn.
        first, second = (1 + (number + half * N_SHUFFLES) * 7 % (n - 1) for half in (0, 1))
        shuffled = None if gate is None else gate.roll(second, 0)
        cosine = paired(out.roll(first, 0), read, shuffled)
        counts.append(_counts(classes(cosine.cpu()).numpy()))
    return np.mean(counts, axis=0)


def _counts(codes: np.ndarray) -> np.ndarray:
    return np.bincount(codes, minlength=len(CLASSES))
