"""How far the weights of two models of one architecture lie apart, part by part, layer by layer."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from core.models.loaded import Loaded, weight

PARTS = ("attention", "mlp", "norms", "embedding", "other")


@dataclass(frozen=True)
class Moved:
    """One parameter in both models.

    row        0 in front of the blocks and behind them, l + 1 in block l
    distance   ||a - b|| over the mean length of a and b (root mean square); 0 alike, 1.41 unrelated
    unrelated  the same against the next layer's (embedding: the next row's) parameter of the other
    """

    name: str
    part: str
    row: int
    n: int
    distance: float
    unrelated: float
    square: tuple[float, float, float]  # of a - b, of a, of b


def moved(one: Loaded, two: Loaded) -> list[Moved]:
    """Every parameter that both models have in one shape, in the order of the first model."""
    there = dict(_parameters(two))
    shapes = {name: tuple(value.shape) for name, value in there.items()}
    places = _places(one)
    found = []
    for name, value in _parameters(one):
        if shapes.get(name) != tuple(value.shape):
            continue
        row, part, follower = places(name)
        a, b = value.double().cpu(), there[name].double().cpu()
        if follower and shapes.get(follower) == tuple(value.shape):
            c = there[follower].double().cpu()
        else:
            c = b.roll(1, 0)
        square = tuple(float((x**2).sum()) for x in (a - b, a, b))
        found.append(
            Moved(
                name, part, row, value.numel(), _relative(*square),
                _relative(float(((a - c) ** 2).sum()), square[1], float((c**2).sum())),
                square,  # type: ignore[arg-type]
            )
        )  # fmt: skip
    return found


def by_layer(found: list[Moved], n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """(distance, unrelated) [row, part of PARTS], all parameters of a part taken as one vector.

    The last column is everything of the row together; NaN where a layer has no such part.
    """
    sums = np.zeros((n_rows, len(PARTS) + 1, 3))
    chance = np.zeros((n_rows, len(PARTS) + 1, 2))
    for one in found:
        for column in (PARTS.index(one.part), len(PARTS)):
            sums[one.row, column] += one.square
            chance[one.row, column] += (one.unrelated**2 * sum(one.square[1:]) / 2, 1.0)
    middle = (sums[..., 1] + sums[..., 2]) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = np.where(middle > 0, np.sqrt(sums[..., 0] / middle), np.nan)
        unrelated = np.where(middle > 0, np.sqrt(chance[..., 0] / middle), np.nan)
    return distance, unrelated


def _relative(apart: float, one: float, two: float) -> float:
    middle = (one + two) / 2
    return float(np.sqrt(apart / middle)) if middle > 0 else 0.0


def _parameters(loaded: Loaded) -> Iterator[tuple[str, Tensor]]:
    """Every parameter by name, also of modules kept on disk until used; tied ones once."""
    seen = set()
    for prefix, module in loaded.module.named_modules():
        for name, own in module.named_parameters(recurse=False):
            if id(own) not in seen:
                seen.add(id(own))
                value = weight(module, name)
                assert value is not None
                yield f"{prefix}.{name}" if prefix else name, value


def _places(loaded: Loaded):  # type: ignore[no-untyped-def]
    """name of a parameter -> (row, part, name of the same parameter a layer further on)."""
    names = {id(module): name for name, module in loaded.module.named_modules()}
    blocks = loaded.stacks[loaded.prompt_stack].blocks
    roots = [names[id(block.whole)] + "." for block in blocks]
    parts = [(names[id(block.attn)] + ".", names[id(block.mlp)] + ".") for block in blocks]
    embeddings = {
        names.get(id(module), "?") + "."
        for module in (
            loaded.module.get_input_embeddings(),  # type: ignore[operator]
            loaded.module.get_output_embeddings(),  # type: ignore[operator]
        )
        if module is not None
    }

    def place(name: str) -> tuple[int, str, str]:
        for layer, root in enumerate(roots):
            if name.startswith(root):
                further = roots[(layer + 1) % len(roots)] + name[len(root) :]
                attn, mlp = parts[layer]
                part = "attention" if name.startswith(attn) else "mlp"
                part = part if name.startswith((attn, mlp)) else "norms"
                return layer + 1, part, further if len(roots) > 1 else ""
        embedded = name.startswith(tuple(embeddings))
        return 0, "embedding" if embedded else "other", ""

    return place
