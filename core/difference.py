"""Two answers to one question, from two models of one shape, cell by cell.

What differs because a number is uncertain is told from what differs because the models do by the
controls that every answer carries: the difference of two controls is noise.
"""

from dataclasses import dataclass

import numpy as np

from core.results.base import Result
from core.results.difference import Difference
from core.spec.errors import Error

QUANTILE = 0.95


@dataclass(frozen=True, slots=True)
class Measure:
    """One array of an answer and the array of its control, "" where it needs none.

    A name that ends with / is a group: every array in it, with the control of the same name.
    """

    array: str
    control: str
    words: str
    unit: str


# analysis -> what its columns are, and what can be compared.
COMPARABLE: dict[str, tuple[str, tuple[Measure, ...]]] = {
    "heads": ("head", (Measure("scores/", "control/", "", "score"),)),
    "head_scores": ("head", (Measure("scores/", "control/", "", "score"),)),
    "head_effect": (
        "head",
        (
            Measure("effect", "control", "effect on the answer", "nats"),
            Measure("direct", "control_direct", "direct effect", "logits"),
            Measure("kl", "control_kl", "KL when ablated", "nats"),
        ),
    ),
    "lens": (
        "token",
        (
            Measure(
                "final_probability", "random_final_probability",
                "probability of the final choice", "probability",
            ),
            Measure("entropy", "random_entropy", "entropy", "nats"),
            Measure("kl", "", "KL to the final answer", "nats"),
        ),
    ),
    "depth": (
        "",
        (
            Measure("accuracy", "control_accuracy", "accuracy", "share"),
            Measure("auc", "control_auc", "AUC", "AUC"),
            Measure("f1", "", "F1", "F1"),
        ),
    ),
    "neuron_map": (
        "neuron",
        (
            Measure("top_z", "", "clearness of the first token", "sd"),
            Measure("write_norm", "", "length of what is written", "stream units"),
        ),
    ),
}  # fmt: skip


def difference(one: Result, other: Result) -> Difference:
    """The second answer minus the first, with the noise of the difference.

    Both answer the same question, of two models of one architecture (or of one model with and
    without clamps). Raises `Error` with a sentence where the cells do not correspond.
    """
    if one.name != other.name:
        raise Error(f"an answer of {one.name!r} and one of {other.name!r} have no common cells")
    if one.name not in COMPARABLE:
        known = ", ".join(COMPARABLE)
        raise Error(f"answers of {one.name!r} have no cells to compare; those of {known} have")
    axis, measures = COMPARABLE[one.name]
    tokens = _columns(one, other, axis)
    change, noise, threshold, units = {}, {}, {}, {}
    a, b = one.arrays(), other.arrays()
    for name, array, control, unit in _named(measures, a, b):
        if a[array].shape != b[array].shape:
            raise Error(
                f"one answer has {_size(a[array])} cells and the other {_size(b[array])}: the "
                "models are of different shape, so look at them side by side instead"
            )
        change[name] = _table(b[array].astype(float) - a[array].astype(float))
        apart = np.zeros_like(change[name])
        if control:
            apart = _table(b[control].astype(float) - a[control].astype(float))
        noise[name] = np.broadcast_to(apart, change[name].shape).copy()
        known = np.abs(noise[name][np.isfinite(noise[name])])
        threshold[name] = np.array([np.quantile(known, QUANTILE) if known.size else 0.0])
        units[name] = unit
    if not change:
        raise Error(f"these answers of {one.name!r} share no measure")
    return Difference(
        request={"first": dict(one.request), "second": dict(other.request)},
        analysis=one.name,
        models=(_model(one), _model(other)),
        units=units,
        axis=axis,
        columns=tokens,
        change=change,
        noise=noise,
        threshold=threshold,
    )


def _named(
    measures: tuple[Measure, ...], a: dict[str, np.ndarray], b: dict[str, np.ndarray]
) -> list[tuple[str, str, str, str]]:
    """(name, array, control, unit) of everything both answers have."""
    found = []
    for one in measures:
        if one.array.endswith("/"):
            for array in a:
                if array.startswith(one.array) and array in b:
                    name = array.removeprefix(one.array)
                    control = one.control + name
                    found.append((name, array, control if control in a else "", one.unit))
        elif one.array in a and one.array in b:
            found.append((one.words, one.array, one.control, one.unit))
    return found


def _columns(one: Result, other: Result, axis: str) -> tuple[str, ...]:
    if axis != "token":
        return ()
    mine, theirs = getattr(one, "tokens", ()), getattr(other, "tokens", ())
    if tuple(mine) != tuple(theirs):
        raise Error(
            "the two models split the text into different tokens, so their cells do not "
            "correspond; look at them side by side instead"
        )
    return tuple(mine)


def _table(values: np.ndarray) -> np.ndarray:
    return values[:, None] if values.ndim == 1 else values


def _size(values: np.ndarray) -> str:
    return " x ".join(map(str, values.shape))


def _model(result: Result) -> str:
    model = result.request.get("model") if result.request else None
    return str(model[0]) if isinstance(model, list | tuple) and model else "a model"
