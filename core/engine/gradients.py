"""What the loss, or any score, says about every neuron and head: gradients in passes back."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from core.engine.apply import Moment
from core.engine.forward import call, sources
from core.engine.hooks import Plan, acting, armed
from core.engine.loss import next_token_losses, refuse_without_next_tokens
from core.engine.rows import Rows
from core.engine.units import through
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.interventions import Intervention
from core.spec.site import Site

T = TypeVar("T")


def neuron_importance(loaded: Loaded, rows: Rows) -> tuple[list[Tensor], Tensor]:
    """|a x dL/da| of every neuron, summed over the tokens of each row; L the row's summed loss.

    Returns a [row, neuron] per layer in nats, float32, and the losses [row] in nats. To first
    order it is what the loss would change by if the neuron were silent at one token. The weights
    keep no gradient; nothing of the model is changed.
    """
    refuse_without_next_tokens(loaded, "the importance of neurons")
    _refuse_weights_elsewhere(loaded)
    seen: dict[int, Tensor] = {}
    layers = range(loaded.n_layers)
    kept = {layer: _kept(seen, layer) for layer in layers}
    with through(loaded, kept, rows.n), torch.enable_grad():
        losses = next_token_losses(call(loaded, rows).logits, rows).sum(dim=1)
        gradients = torch.autograd.grad(losses.sum(), [seen[layer] for layer in layers])
    found = [
        (seen[layer].detach() * gradient).abs().float().sum(dim=1)
        for layer, gradient in zip(layers, gradients, strict=True)
    ]
    return found, losses.detach()


# Logits [row, token, d_vocab] -> the numbers whose gradients are wanted, and anything to hand back.
Scores = Callable[[Tensor], tuple[Sequence[Tensor], T]]


def head_gradients(
    loaded: Loaded,
    rows: Rows,
    scores: Scores[T],
    stack: str = "",
    change: Sequence[Intervention] = (),
) -> tuple[list[Tensor], list[list[Tensor]], T]:
    """Outputs of all heads under the changes, and the gradient of each score in them.

    Returns z [row, token, head, d_head] per layer, the gradients by score and layer in the same
    shape, and what `scores` hands back. One pass forward, one back for each score. The weights
    keep no gradient; nothing of the model is changed.
    """
    _refuse_weights_elsewhere(loaded)
    seen: dict[int, Tensor] = {}
    layers = range(len(loaded.stacks[stack].blocks))
    kept = {layer: _kept(seen, layer) for layer in layers}
    moment = Moment(loaded, rows.ids.shape[1], sources=sources(loaded, [change]))
    plan = Plan((), (tuple(change),), rows.lengths, moment)
    with (
        loaded.busy(),
        armed(loaded, plan),  # first, so that what is kept is what the changes left
        through(loaded, kept, rows.n, stack, "head"),
        torch.enable_grad(),
    ):
        wanted, rest = scores(call(loaded, rows).logits)
        found = [
            torch.autograd.grad(score, [seen[layer] for layer in layers], retain_graph=True)
            for score in wanted
        ]
    shape = (rows.n, -1, loaded.n_heads, loaded.d_head)
    values = [seen[layer].detach().reshape(shape) for layer in layers]
    return values, [[each.reshape(shape) for each in one] for one in found], rest


def site_gradients(
    loaded: Loaded, rows: Rows, place: Site, act: Callable[[Tensor], Tensor], scores: Scores[T]
) -> tuple[Tensor, list[Tensor], T]:
    """The gradient of each score in what a whole site holds after `act` has changed it.

    act [row, token, ...] to the same shape. Returns the changed values, a gradient of that shape by
    score, and what `scores` hands back. The graph begins at the site: nothing in front of it takes
    part, and the weights keep no gradient.
    """
    _refuse_weights_elsewhere(loaded)
    seen: list[Tensor] = []

    def keep(values: Tensor) -> Tensor:
        with torch.no_grad():
            new = act(values.detach())
        seen.append(new.detach().requires_grad_())
        return seen[-1]

    with acting(loaded, rows, {place: keep}), torch.enable_grad():
        wanted, rest = scores(call(loaded, rows).logits)
        found = [torch.autograd.grad(score, seen[0], retain_graph=True)[0] for score in wanted]
    return seen[0].detach(), found, rest


def _kept(seen: dict[int, Tensor], layer: int) -> Callable[[Tensor], Tensor]:
    """Keep the units of a layer where gradients can reach them.

    The first layer begins the graph: the weights themselves take no part in it. Later layers
    hang on it already, and must not be cut off: an early neuron acts through later ones too.
    """

    def act(values: Tensor) -> Tensor:
        seen[layer] = values if values.requires_grad else values.detach().requires_grad_()
        return seen[layer]

    return act


def _refuse_weights_elsewhere(loaded: Loaded) -> None:
    if any(parameter.is_meta for parameter in loaded.module.parameters()):
        raise Error(
            f"parts of {loaded.name} are kept on disk while they are not used, and gradients need "
            "them all at once; load it on one device"
        )
