"""Read/write classes of neurons, from the cosines between their own vectors.

"Understanding Gated Neurons in Transformers from Their Input-Output Functionality"
(RW_functionalities): strengthening, weakening, proportional change and their conditional and
atypical forms.
"""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Int8
from torch import Tensor

from core.engine.neuron_rows import has_gate, neuron_rows
from core.models.loaded import Loaded
from core.results.neuron_classes import CLASSES

THRESHOLD = 0.5
COVERED = 0.95  # of mismatched pairs lie inside the band
_PAIRS = 100_000  # mismatched pairs behind a band, all of them where there are fewer

# (r(linout), |r(gateout)|, typical) -> class, as the paper names them.
_KEYS = {
    (1, 1, 1): "strengthening",
    (1, 1, 0): "atypical strengthening",
    (1, 0, 1): "conditional strengthening",
    (1, 0, 0): "atypical conditional strengthening",
    (0, 1, 1): "proportional change",
    (0, 1, 0): "atypical proportional change",
    (0, 0, 1): "orthogonal output",
    (-1, 1, 1): "weakening",
    (-1, 1, 0): "atypical weakening",
    (-1, 0, 1): "conditional weakening",
    (-1, 0, 0): "atypical conditional weakening",
}
_PLAIN = {1: "strengthening", 0: "orthogonal output", -1: "weakening"}


def cosines(loaded: Loaded, layer: int, stack: str = "") -> Float[Tensor, "neuron 3"]:
    """cos(in, out), cos(gate, in), cos(gate, out) of every neuron; NaN where there is no gate.

    Computed once per layer; [neuron, 3] on the host.
    """
    key = ("neuron_cosines", stack, layer)
    if key not in loaded.memo:
        loaded.memo[key] = paired(*unit_rows(loaded, layer, stack)).cpu()
    found: Tensor = loaded.memo[key]
    return found


def unit_rows(loaded: Loaded, layer: int, stack: str = "") -> tuple[Tensor, Tensor, Tensor | None]:
    """(out, in, gate) vectors of a layer at length 1, gate None without one."""
    weights = ("out", "in", "gate") if has_gate(loaded, stack) else ("out", "in")
    rows = [neuron_rows(loaded, layer, weight, stack) for weight in weights]
    out, read, *gate = [torch.nn.functional.normalize(each, dim=1) for each in rows]
    return out, read, gate[0] if gate else None


def paired(
    out: Float[Tensor, "neuron d_model"],
    read: Float[Tensor, "neuron d_model"],
    gate: Float[Tensor, "neuron d_model"] | None,
) -> Float[Tensor, "neuron 3"]:
    """The three cosines of vectors of length 1, row by row."""
    linout = (read * out).sum(dim=1)
    if gate is None:
        nothing = torch.full_like(linout, torch.nan)
        return torch.stack([linout, nothing, nothing], dim=1)
    return torch.stack([linout, (gate * read).sum(dim=1), (gate * out).sum(dim=1)], dim=1)


def classes(cosine: Float[Tensor, "neuron 3"]) -> Int8[Tensor, " neuron"]:
    """Class code (place in CLASSES) of each neuron from its three cosines."""
    rounded = (cosine > THRESHOLD).int() - (cosine < -THRESHOLD).int()  # NaN gives 0
    linout, gatelin, gateout = rounded.unbind(dim=1)
    codes = torch.empty(len(cosine), dtype=torch.int8)
    if bool(cosine[:, 1].isnan().all()):
        for value, name in _PLAIN.items():
            codes[linout == value] = CLASSES.index(name)
        return codes
    typical = (gatelin == linout * gateout) | ((linout == 0) & (gateout == 0))
    for key, name in _KEYS.items():
        here = (linout == key[0]) & (gateout.abs() == key[1]) & (typical.int() == key[2])
        codes[here] = CLASSES.index(name)
    return codes


def band(loaded: Loaded, layer: int, stack: str = "") -> Float[np.ndarray, "3 2"]:
    """Central 95 % of the three cosines for vectors of different neurons of the layer, [3, 2].

    All pairs, or about 100,000 evenly spread ones of large layers. NaN where there is no gate.
    """
    key = ("neuron_band", stack, layer)
    if key not in loaded.memo:
        out, read, gate = unit_rows(loaded, layer, stack)
        n = len(out)
        shifts = np.unique(np.linspace(1, n - 1, max(1, min(n - 1, _PAIRS // n))).astype(int))
        values = torch.cat([_mismatched(out, read, gate, shift) for shift in shifts.tolist()])
        tails = [(1 - COVERED) / 2, (1 + COVERED) / 2]
        edges = np.quantile(values.cpu().numpy(), tails, axis=0).T
        loaded.memo[key] = edges.astype("float32")
    found: np.ndarray = loaded.memo[key]
    return found


def _mismatched(out: Tensor, read: Tensor, gate: Tensor | None, shift: int) -> Tensor:
    """[neuron, 3] cosines of vectors whose neurons stand `shift` places apart."""
    values = paired(out.roll(shift, 0), read, gate)
    if gate is not None:
        values[:, 1] = (gate * read.roll(shift, 0)).sum(dim=1)
    return values


@cache
def isotropic_band(d_model: int) -> float:
    """95 % of pairs of isotropic vectors have a |cosine| below this.

    The cosine then follows a Beta((d-1)/2, (d-1)/2) law on [-1, 1]: density (1 - c²)^((d-3)/2).
    """
    cosine = np.linspace(0, 1, 100_001)[:-1]
    density = (1 - cosine**2) ** ((d_model - 3) / 2)
    share = np.cumsum(density) / density.sum()
    return float(cosine[np.searchsorted(share, COVERED)])
