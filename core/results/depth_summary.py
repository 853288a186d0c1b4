"""One number per curve: where it leaves the floor, is halfway up, and is up; plain arithmetic.

The robust numbers are this project's; `jump` and `converging` are those of "Exploring Concept
Depth" (Jin et al. 2024), which noise alone can trigger.
"""

import numpy as np

NAMES = ("onset", "half_rise", "saturation", "peak", "centre_of_mass", "late_drop")


def summary(curve: np.ndarray, low: np.ndarray, floor: float) -> dict[str, float]:
    """`NAMES` of a curve [layer] whose lower bounds are low [layer]; layers from 0, NaN for none.

    onset           first layer whose lower bound is above the floor and whose next one's is too
    half_rise       first place at which half of the way from floor to peak is done, between layers
    saturation      first layer with 95 % of that way
    peak            layer of the highest value
    centre_of_mass  mean layer of what the curve gains from layer to layer
    late_drop       peak minus last value
    """
    top = float(curve.max())
    above = low > floor
    steady = above & np.append(above[1:], above[-1:])
    gains = np.clip(np.diff(curve), 0, None)
    layers = np.arange(1, len(curve))
    up = top > floor
    return {
        "onset": _first(steady),
        "half_rise": crossing(curve, floor + 0.5 * (top - floor)) if up else np.nan,
        "saturation": _first(curve >= floor + 0.95 * (top - floor)) if up else np.nan,
        "peak": float(curve.argmax()),
        "centre_of_mass": float((layers * gains).sum() / gains.sum()) if gains.sum() else np.nan,
        "late_drop": top - float(curve[-1]),
    }


def _first(true: np.ndarray) -> float:
    return float(true.argmax()) if true.any() else float("nan")


def crossing(curve: np.ndarray, level: float) -> float:
    """The first place, between layers, at which the curve reaches a level; NaN for never."""
    first = _first(curve >= level)
    if np.isnan(first) or first == 0:
        return first
    after = int(first)
    before, here = curve[after - 1], curve[after]
    return after - 1 + float((level - before) / (here - before))


def paper_points(accuracy: np.ndarray) -> dict[str, float]:
    """Jump and converging points of the paper, from the accuracies of the d blocks.

    beta_i = accuracy_i / accuracy_(i-1), i = 1 to d - 1; all as shares i / d, NaN for none.
    jump               least with beta >= 1.1
    converging         least from which on |beta - 1| < 0.03 for good, which is what is meant
    converging_literal largest with |beta - 1| < 0.03, as it is written: nearly always the end
    """
    d = len(accuracy)
    with np.errstate(divide="ignore", invalid="ignore"):
        beta = accuracy[1:] / accuracy[:-1]
    calm = np.abs(beta - 1) < 0.03
    places = np.arange(1, d) / d
    stable = np.logical_and.accumulate(calm[::-1])[::-1]
    jumps = beta >= 1.1
    return {
        "jump": float(places[jumps.argmax()]) if jumps.any() else float("nan"),
        "converging": float(places[stable.argmax()]) if stable.any() else float("nan"),
        "converging_literal": float(places[calm].max()) if calm.any() else float("nan"),
    }
