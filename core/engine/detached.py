"""A run whose gradients see norms, attention weights and gates as the constants they were.

"Large Language Models are Locally Linear Mappings" (Golden 2025): with what a norm divides by, the
attention weights, and act(gate) of every neuron (act(u) / u without a gate) cut from the gradient,
the model is a linear map of its input embeddings plus constants, and its gradient is that map.
No value is changed.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.engine import attention
from core.engine.forward import call
from core.engine.readout import centres, norm_weight
from core.engine.rows import Rows
from core.models.loaded import Block, Loaded, find, rebuilt
from core.spec.errors import Error

MOST_DOUBLED = 300_000_000  # parameters of which a copy in float64 is made, 2.4 GB
_OFF = 1e-3  # of the largest entry: how far a norm's own answer may be from its linear form


def precise(loaded: Loaded) -> Loaded:
    """The model in float64 as a copy of its own; too large a one as it is.

    What the library computes in float32 inside (sizes of some norms, softmax) stays so.
    """
    parameters = list(loaded.module.parameters())
    if any(parameter.is_meta for parameter in parameters):
        raise Error(
            f"parts of {loaded.name} are kept on disk while they are not used, and gradients need "
            "them all at once; load it on one device"
        )
    if sum(parameter.numel() for parameter in parameters) > MOST_DOUBLED:
        return loaded
    module = copy.deepcopy(loaded.module).double()
    return replace(rebuilt(loaded, module), memo={}, lock=loaded.lock)


@contextmanager
def detached(loaded: Loaded) -> Iterator[None]:
    """Cut norms, attention weights and gates from the gradients of every run inside.

    Raises `Error` where the family's MLP or attention has no place to do so.
    """
    stacks = [(stack.family, block) for stack in loaded.stacks.values() for block in stack.blocks]
    with ExitStack() as armed:
        for norm in _norms(loaded):
            armed.callback(norm.register_forward_hook(_linear_norm(loaded, norm)).remove)
        for _, block in stacks:
            armed.callback(_hold_gate(loaded, block).remove)
        if loaded.pattern_source == "interface":
            armed.enter_context(attention.standing_in(_hold_weights))
        else:
            for family, block in stacks:
                for handle in _hold_maps(loaded, family, block):
                    armed.callback(handle.remove)
        yield


def _norms(loaded: Loaded) -> list[nn.Module]:
    """Every norm of the model but those of queries and keys, which no gradient passes.

    Norms outside the family's row count too: of embeddings (BLOOM), in front of cross-attention.
    """
    past = set()
    for stack in loaded.stacks.values():
        for block in stack.blocks:
            for path in (stack.family.norm_queries, stack.family.norm_keys):
                past.add(id(find(block.whole, f"{path}|")))
    found = []
    for module in loaded.module.modules():
        gain = getattr(module, "weight", None)
        plain = gain is None and hasattr(module, "normalized_shape")
        vector = isinstance(gain, Tensor) and gain.ndim == 1
        if "Norm" in type(module).__name__ and (plain or vector) and id(module) not in past:
            found.append(module)
    return found


def _linear_norm(loaded: Loaded, norm: nn.Module) -> Any:
    """The norm as weight x (input, centred where it centres) / size + bias, the size a constant."""
    gain, centred = norm_weight(loaded, norm), centres(norm)

    def after(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        if not args or args[0].shape[-1] != len(gain):
            return output
        x, bias = args[0], getattr(norm, "bias", None)
        plain = gain.to(x) * (x - x.mean(dim=-1, keepdim=True) if centred else x)
        with torch.no_grad():
            own = output if bias is None else output - bias
            size = plain.square().sum(dim=-1, keepdim=True)
            inverse = (plain * own).sum(dim=-1, keepdim=True) / size.clamp_min(1e-300)
            off = (plain * inverse - own).abs().max()
            if off > _OFF * own.abs().max():
                raise Error(
                    f"a {type(norm).__name__} of {loaded.name} is no weight times the stream over "
                    "its size, so the model cannot be held as a linear map"
                )
        made = plain * inverse
        return (made if bias is None else made + bias).to(output)

    return after


def _hold_gate(loaded: Loaded, block: Block) -> Any:
    """neuron = act(gate) x up with act(gate) held; without a gate act(u) = (act(u) / u) u."""
    if block.neurons is None or block.act is None or not loaded.mlp_parts:
        what = "keeps its experts in one fused map" if block.neurons is None else "has an MLP"
        raise Error(
            f"{loaded.name} ({loaded.family}) {what} whose nonlinearity cannot be held, so no "
            "exact linear map is known of it; the logit lens and head effects work here"
        )
    gated = block.gate is not None

    def after(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        if gated:
            return output.detach()
        u = args[0]
        with torch.no_grad():  # at 0 the limit, which is 1/2 for GELU and SiLU
            ratio = torch.where(u == 0, 0.5, output / torch.where(u == 0, 1.0, u))
        return ratio * u

    return block.act.register_forward_hook(after)


def _hold_weights(
    attend: attention.Attend,
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    options: dict[str, Any],
) -> tuple[Tensor, Tensor | None]:
    """The model's own attention with gradients through the values alone."""
    held = {
        name: each.detach() if isinstance(each, Tensor) else each for name, each in options.items()
    }
    mask = None if mask is None else mask.detach()
    return attend(module, query.detach(), key.detach(), value, mask, **held)


def _hold_maps(loaded: Loaded, family: Any, block: Block) -> list[Any]:
    """The same where attention is not handed out: cut the outputs of the maps into queries and
    keys, which may share one map with the values."""
    paths = (family.queries, family.keys, family.values)
    queries, keys, values = (find(block.whole, f"{path}|") for path in paths)
    if queries is None or keys is None or values is None:
        raise Error(
            f"{loaded.name}: it is not known where {loaded.family} keeps its queries and keys, so "
            "its attention weights cannot be held"
        )
    if queries is values:
        return [queries.register_forward_hook(_keep_values(loaded, family.fused == "groups"))]
    cut = lambda _, __, output: output.detach()  # noqa: E731
    return [each.register_forward_hook(cut) for each in (queries, keys)]


def _keep_values(loaded: Loaded, grouped: bool) -> Any:
    heads, size = loaded.n_heads, loaded.d_head

    def after(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        groups = (output.shape[-1] // size - heads) // 2
        if grouped:
            cut = output.unflatten(-1, (groups, heads // groups + 2, size))
            both = torch.cat([cut[..., :-1, :].detach(), cut[..., -1:, :]], dim=-2)
            return both.flatten(-3)
        part = (heads + groups) * size
        return torch.cat([output[..., :part].detach(), output[..., part:]], dim=-1)

    return after


@dataclass(frozen=True)
class Graph:
    """One run with its gradients: what it began with, went through and ended in.

    embeddings  the token embeddings as they were looked up, [1, token, d]: the prompt's first,
                then those of the decoder's start in an encoder-decoder
    streams     [1, token, d_model] in front of every block that reads the prompt, then behind
                the last one
    state       [1, token, d_model] what the unembedding reads, behind any final norm
    added       biases and tables of positions by name: what else the state is made of
    """

    embeddings: list[Tensor]
    streams: list[Tensor]
    state: Tensor
    added: dict[str, nn.Parameter]


@contextmanager
def graph(loaded: Loaded, rows: Rows, *, held: bool = True) -> Iterator[Graph]:
    """Run one row so that gradients can be taken inside; `held`: as in `detached`."""
    with ExitStack() as armed:
        armed.enter_context(loaded.busy())
        table = armed.enter_context(_added(loaded))
        armed.enter_context(torch.enable_grad())
        with ExitStack() as hooks:
            if held:  # first: what is read is what the held norms hand on
                hooks.enter_context(detached(loaded))
            embeddings = hooks.enter_context(_leaves(loaded))
            streams = hooks.enter_context(_streams(loaded, loaded.prompt_stack))
            state = hooks.enter_context(_final(loaded))
            call(loaded, rows)
        yield Graph(embeddings, streams, state[0], table)


@contextmanager
def _leaves(loaded: Loaded) -> Iterator[list[Tensor]]:
    """Begin the graph at the token embeddings: each look-up inside, in order, as a leaf."""
    table = loaded.module.get_input_embeddings().weight  # type: ignore[operator]
    found: list[Tensor] = []

    def after(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        found.append(output.detach().requires_grad_())
        return found[-1]

    with ExitStack() as armed:
        for module in loaded.module.modules():
            if isinstance(module, nn.Embedding) and module.weight is table:
                armed.callback(module.register_forward_hook(after).remove)
        yield found


@contextmanager
def _added(loaded: Loaded) -> Iterator[dict[str, nn.Parameter]]:
    """Every parameter that is added rather than multiplied, by name, taking gradients inside.

    Biases and the tables of positions and kinds of token; the weights take none.
    """
    tables = {
        id(each.weight)
        for each in (loaded.module.get_input_embeddings(), loaded.module.get_output_embeddings())  # type: ignore[operator]
        if each is not None
    }
    places = {
        f"{name}.weight"
        for name, module in loaded.module.named_modules()
        if isinstance(module, nn.Embedding) and id(module.weight) not in tables
    }
    found = {
        name: parameter
        for name, parameter in loaded.module.named_parameters()
        if name.rpartition(".")[2] == "bias" or name in places
    }
    before = {name: parameter.requires_grad for name, parameter in found.items()}
    try:
        for parameter in found.values():
            parameter.requires_grad_()
        yield found
    finally:
        for name, parameter in found.items():
            parameter.requires_grad_(before[name])


@contextmanager
def _streams(loaded: Loaded, stack: str) -> Iterator[list[Tensor]]:
    """What enters each block of a stack in the runs inside, and what leaves the last one."""
    found: list[Tensor] = []
    blocks = loaded.stacks[stack].blocks

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        found.append(args[0] if args else kwargs["hidden_states"])

    def after(_: nn.Module, __: Any, output: Any) -> None:
        found.append(output[0] if isinstance(output, tuple) else output)

    with ExitStack() as armed:
        for block in blocks:
            armed.callback(block.whole.register_forward_pre_hook(before, with_kwargs=True).remove)
        armed.callback(blocks[-1].whole.register_forward_hook(after).remove)
        yield found


@contextmanager
def _final(loaded: Loaded) -> Iterator[list[Tensor]]:
    """What the unembedding reads in the runs inside: behind the final norm, if there is one."""
    found: list[Tensor] = []
    stack = loaded.stacks[""]
    module = stack.blocks[-1].whole if stack.norm is None else stack.norm

    def after(_: nn.Module, __: Any, output: Any) -> None:
        found.append(output[0] if isinstance(output, tuple) else output)

    handle = module.register_forward_hook(after)
    try:
        yield found
    finally:
        handle.remove()


def rows_of_map(
    target: Float[Tensor, " d_out"],
    inputs: list[Tensor],
    check: Callable[[], None],
    at_once: int = 64,
) -> Iterator[tuple[slice, tuple[Tensor, ...]]]:
    """The Jacobian of the target in the inputs, some rows of it at a time.

    Yields (rows, for each input [rows, *its shape]). One pass back a row, vectorised.
    """
    units = torch.eye(len(target), dtype=target.dtype, device=target.device)
    for start in range(0, len(target), at_once):
        check()
        part = slice(start, min(start + at_once, len(target)))
        yield (
            part,
            torch.autograd.grad(
                target, inputs, units[part], retain_graph=True, is_grads_batched=True
            ),
        )
