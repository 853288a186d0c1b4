"""Many neurons or heads changed at once, for the length of one `with` block.

An intervention names one site; a set of thousands of neurons is one product per layer here, and
a changed write vector one term behind the output map. The weights, which several people share,
are never touched.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from core.models.loaded import Loaded
from core.spec.site import Component, Site

# values [row, token, neuron] -> the values to go on with, same shape; must not edit in place.
# Heads lie side by side: [row, token, head x d_head].
Act = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Rewrite:
    """As if `delta` [d_model] were added to the write vector of one neuron."""

    layer: int
    unit: int
    delta: Float[Tensor, " d_model"]


def unit_map(
    loaded: Loaded, layer: int, stack: str = "", component: Component = "neuron"
) -> nn.Module:
    """The map whose input are the neurons, or the heads side by side.

    Raises `Error` where there are no single neurons.
    """
    site = Site(layer, component, stack=stack)
    loaded.check(site)
    block = loaded.block(site)
    module = block.heads if component == "head" else block.neurons
    assert module is not None
    return module


@contextmanager
def through(
    loaded: Loaded,
    acts: Mapping[int, Act],
    n_rows: int,
    stack: str = "",
    component: Component = "neuron",
) -> Iterator[None]:
    """Pass the neurons (or heads) of the given layers through functions, in every run inside.

    Stands in front of interventions and reads: both see its result. `n_rows` rows in each run.
    """
    with loaded.busy(), ExitStack() as armed:
        for layer, act in acts.items():
            module = unit_map(loaded, layer, stack, component)
            handle = module.register_forward_pre_hook(_replace_input(act, n_rows))
            armed.callback(handle.remove)
        yield


@contextmanager
def rewritten(loaded: Loaded, rows: Sequence[Sequence[Rewrite]], stack: str = "") -> Iterator[None]:
    """Run each row as if its own rewrites were in the weights; a row without any is clean.

    A neuron with activation a writes a x (its vector + delta), in front of any post-norm, so the
    answer is that of a model with edited weights (a test holds it to that).
    """
    by_layer: dict[int, list[tuple[int, Rewrite]]] = defaultdict(list)
    for row, edits in enumerate(rows):
        for edit in edits:
            by_layer[edit.layer].append((row, edit))
    with loaded.busy(), ExitStack() as armed:
        for layer, edits_here in by_layer.items():
            module = unit_map(loaded, layer, stack)
            handle = module.register_forward_hook(_add_to_output(edits_here, len(rows)))
            armed.callback(handle.remove)
        yield


def _replace_input(act: Act, n_rows: int) -> Any:
    def before(_: nn.Module, args: tuple[Any, ...]) -> Any:
        values = args[0].reshape(n_rows, -1, args[0].shape[-1])  # OPT may flatten rows and tokens
        return (act(values).reshape(args[0].shape), *args[1:])

    return before


def _add_to_output(edits: list[tuple[int, Rewrite]], n_rows: int) -> Any:
    def after(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        values = args[0].reshape(n_rows, -1, args[0].shape[-1])
        new = output.clone().reshape(n_rows, -1, output.shape[-1])
        for row, edit in edits:
            new[row] += values[row, :, edit.unit, None] * edit.delta.to(new)
        return new.reshape(output.shape)

    return after
