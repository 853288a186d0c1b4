"""From directions behind the final norm to what has to be added in front of it."""

import numpy as np

from core.engine.readout import centres, norm_weight
from core.models.loaded import Loaded

LEAST_GAIN = 1e-3  # of the largest: channels the norm all but closes cannot be written through


def to_stream(loaded: Loaded, directions: np.ndarray) -> np.ndarray:
    """[n, d_model] to add to the last resid_post, per unit of the norm's divisor.

    norm(x) = gain * x / scale + bias, so a shift of gain * v / scale is asked for by v. A LayerNorm
    removes the mean over the channels; what of the direction lies there cannot be written.
    """
    norm = loaded.stacks[""].norm
    if norm is None:
        return directions
    gain = norm_weight(loaded, norm).double().cpu().numpy()
    open_ = np.abs(gain) > LEAST_GAIN * np.abs(gain).max()
    found = np.divide(directions, gain, out=np.zeros_like(directions), where=open_)
    return found - found.mean(axis=1, keepdims=True) if centres(norm) else found


def from_stream(loaded: Loaded, vectors: np.ndarray) -> np.ndarray:
    """[n, d_model] what such vectors move behind the norm: `to_stream` and back again."""
    norm = loaded.stacks[""].norm
    if norm is None:
        return vectors
    moved = vectors - vectors.mean(axis=1, keepdims=True) if centres(norm) else vectors
    found: np.ndarray = moved * norm_weight(loaded, norm).double().cpu().numpy()
    return found
