"""Hooks on a model for the length of one `with` block."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from core.engine import attention
from core.engine.apply import Moment, acts_at, changed, needed
from core.engine.rows import Rows
from core.models.loaded import Block, Loaded
from core.spec.interventions import Intervention
from core.spec.site import PATTERNS, Site

Check = Callable[[], None]
Act = Callable[[Tensor], Tensor | None]


class Enough(Exception):
    """Everything asked for has been seen; the rest of the forward is not needed."""


@dataclass
class Plan:
    """What one run reads and changes. Sites in `read` may name units and positions."""

    read: tuple[Site, ...]
    change: tuple[tuple[Intervention, ...], ...]  # one list per row, or one for all rows
    lengths: tuple[int, ...]
    moment: Moment
    check: Check | None = None
    expand_to: int = 0  # multiply a single row to this many in front of the first changed block
    stop_early: bool = False
    seen: dict[Site, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.moment.seen = self.seen

    def places(self) -> dict[Site, tuple[list[Site], dict[int, list[Intervention]]]]:
        """Per hooked component: the reads, and the changes by row (-1 means every row)."""
        found: dict[Site, tuple[list[Site], dict[int, list[Intervention]]]] = {}
        for site in self.read:
            found.setdefault(site.whole(), ([], defaultdict(list)))[0].append(site)
        shared = len(self.change) == 1
        for row, changes in enumerate(self.change):
            for change in changes:
                for part in needed(change, self.moment.loaded):
                    reads = found.setdefault(part, ([], defaultdict(list)))[0]
                    reads += () if part in reads else (part,)
                at = acts_at(change, self.moment.loaded)
                place = found.setdefault(at, ([], defaultdict(list)))
                place[1][-1 if shared else row].append(change)
        return found

    def first_changed(self) -> int:
        """The lowest layer with a change; 0 when the encoder of two stacks is changed."""
        sites = [change.site for changes in self.change for change in changes]
        return min((0 if site.stack else site.layer for site in sites), default=0)


class _Touch:
    """Change and read the values at one place."""

    def __init__(
        self, plan: Plan, reads: list[Site], changes: dict[int, list[Intervention]]
    ) -> None:
        self.plan, self.reads, self.changes = plan, reads, changes

    def __call__(self, values: Tensor) -> Tensor | None:
        """values [row, token, ...]; the replacement, or None when nothing changed."""
        new = self._change(values) if self.changes else None
        for site in self.reads:
            self.plan.seen[site] = _selected(site, values if new is None else new, self.plan)
        return new

    def _change(self, values: Tensor) -> Tensor:
        values = values.clone()
        everyone = self.changes.get(-1)
        for row in range(values.shape[0]) if everyone else sorted(self.changes):
            for change in everyone or self.changes[row]:
                length = self.plan.lengths[row if row < len(self.plan.lengths) else 0]
                # A clone again only for controls; the others edit their row in place.
                result = changed(change, values[row], length, row, self.plan.moment)
                if result.data_ptr() != values[row].data_ptr():
                    values[row] = result
        return values


def _selected(site: Site, values: Tensor, plan: Plan) -> Tensor:
    """The part a read asked for, as a copy that nobody else will write to."""
    if site.position is not None:
        local = site.position - plan.moment.offset
        values = values[:, max(local, 0) : max(local + 1, 0)]
    if site.unit is not None and not site.dictionary:
        values = values[:, :, site.unit]
    if site.dictionary:
        dictionary = plan.moment.loaded.dictionaries[site.dictionary]
        return dictionary.feature(values, site.unit)
    return values.clone()


@contextmanager
def armed(loaded: Loaded, plan: Plan) -> Iterator[None]:
    """Attach what the plan needs; everything is gone on leaving, also after an error."""
    with ExitStack() as stack:
        if plan.expand_to:
            block = loaded.stacks[""].blocks[plan.first_changed()].whole
            stack.callback(_expand(block, plan.expand_to).remove)
        if plan.check:
            for part in loaded.stacks.values():
                for each in part.blocks:
                    stack.callback(_before(each.whole, plan.check).remove)
        patterns: dict[Site, list[Site]] = {}
        for place, (reads, changes) in _in_order(plan.places()):
            if place.component in PATTERNS:
                patterns[place] = reads
            else:
                for handle in _attach(loaded, place, _Touch(plan, reads, changes), plan):
                    stack.callback(handle.remove)
        if patterns and loaded.pattern_source == "interface":
            stack.enter_context(attention.listening(_pattern_listener(loaded, patterns, plan)))
        if plan.stop_early:
            stack.callback(_stop_after(loaded, plan.read).remove)
        yield


@contextmanager
def acting(loaded: Loaded, rows: Rows, acts: Mapping[Site, Act]) -> Iterator[None]:
    """Pass what whole sites hold through functions, in every run of these rows inside.

    A function gets values [row, token, ...] and returns new ones of that shape, or None to leave
    them as they are. Stands in front of interventions and reads: both see its result.
    """
    for site in acts:
        loaded.check(site)
    plan = Plan((), (), rows.lengths, Moment(loaded, rows.ids.shape[1]))
    with loaded.busy(), ExitStack() as stack:
        for site, act in _in_order(dict(acts)):
            for handle in _attach(loaded, site, act, plan):
                stack.callback(handle.remove)
        yield


def _in_order(places: dict[Site, Any]) -> list[tuple[Site, Any]]:
    """Hooks of one module run in the order they were attached: resid_mid sees a new attn_out."""
    return sorted(places.items(), key=lambda item: item[0].component == "resid_mid")


def _before(module: nn.Module, act: Check) -> Any:
    return module.register_forward_pre_hook(lambda *_: act())


def _expand(block: nn.Module, times: int) -> Any:
    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args, kwargs, stream = _stream_argument(args, kwargs)
        return _with_stream(args, kwargs, stream.expand(times, -1, -1).contiguous())

    return block.register_forward_pre_hook(before, with_kwargs=True)


def _stream_argument(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], Tensor]:
    return args, kwargs, args[0] if args else kwargs["hidden_states"]


def _with_stream(args: tuple[Any, ...], kwargs: dict[str, Any], stream: Tensor) -> Any:
    if args:
        return (stream, *args[1:]), kwargs
    return args, {**kwargs, "hidden_states": stream}


def _stop_after(loaded: Loaded, read: Sequence[Site]) -> Any:
    """Raise `Enough` behind the last block that a read needs."""
    stack = "" if any(not site.stack for site in read) or "enc" not in loaded.stacks else "enc"
    last = max(site.layer for site in read if site.stack == stack)

    def enough(*_: Any) -> None:
        raise Enough

    return loaded.stacks[stack].blocks[last].whole.register_forward_hook(enough)


def _attach(loaded: Loaded, place: Site, touch: Act, plan: Plan) -> list[Any]:
    block = loaded.block(place)
    match place.component:
        case "resid_pre":
            return [_on_block_input(block.whole, touch)]
        case "resid_post":
            return [_on_output(block.whole, touch)]
        case "attn_out":
            return [_on_output(block.attn, touch, loaded.stacks[place.stack].stream_scale, plan)]
        case "mlp_in":
            assert block.mlp_in is not None
            return [_on_mlp_input(block.mlp_in, touch, plan)]
        case "mlp_out":
            return [_on_output(block.mlp, touch, loaded.stacks[place.stack].stream_scale, plan)]
        case "cross_out":
            assert block.cross is not None
            return [_on_output(block.cross, touch)]
        case "resid_mid":
            return _on_middle(block, touch, loaded.stacks[place.stack].stream_scale, plan)
        case "head":
            return [_on_input(block.heads, touch, (loaded.n_heads, loaded.d_head), plan)]
        case "cross_head":
            assert block.cross_heads is not None
            return [_on_input(block.cross_heads, touch, (loaded.n_heads, loaded.d_head), plan)]
        case "neuron":
            assert block.neurons is not None
            return [_on_input(block.neurons, touch, (loaded.d_mlp,), plan)]
        case "up" | "gate":
            return [_on_mlp_part(block, place.component, touch, plan)]
    raise TypeError(f"no place for {place}")


def _on_block_input(module: nn.Module, touch: Act) -> Any:
    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args, kwargs, stream = _stream_argument(args, kwargs)
        new = touch(stream)
        return None if new is None else _with_stream(args, kwargs, new)

    return module.register_forward_pre_hook(before, with_kwargs=True)


def _on_mlp_input(module: nn.Module, touch: Act, plan: Plan) -> Any:
    """What the MLP reads: the first argument of its module, or of its first map (OPT)."""

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args, kwargs, values = _stream_argument(args, kwargs)
        new = touch(_by_row(values, plan))
        return None if new is None else _with_stream(args, kwargs, new.reshape(values.shape))

    return module.register_forward_pre_hook(before, with_kwargs=True)


def _on_output(module: nn.Module, touch: Act, scale: float = 1.0, plan: Plan | None = None) -> Any:
    def after(_: nn.Module, __: Any, output: Any) -> Any:
        first = output[0] if isinstance(output, tuple) else output
        values = _by_row(first, plan)
        new = touch(values if scale == 1.0 else values * scale)
        if new is None:
            return None
        new = (new if scale == 1.0 else new / scale).reshape(first.shape)
        return (new, *output[1:]) if isinstance(output, tuple) else new

    return module.register_forward_hook(after)


def _by_row(values: Tensor, plan: Plan | None) -> Tensor:
    """[row, token, ...] also where a family flattens rows and tokens into one axis (OPT)."""
    if values.ndim != 2:
        return values
    tokens = plan.moment.tokens if plan else values.shape[0]
    return values.reshape(-1, tokens, values.shape[-1])


def _on_input(module: nn.Module, touch: Act, units: tuple[int, ...], plan: Plan) -> Any:
    def before(_: nn.Module, args: tuple[Any, ...]) -> Any:
        values = _by_row(args[0], plan)
        new = touch(values.reshape(*values.shape[:2], *units))
        return None if new is None else (new.reshape(args[0].shape), *args[1:])

    return module.register_forward_pre_hook(before)


def _on_mlp_part(block: Block, part: str, touch: Act, plan: Plan) -> Any:
    """Up or gate: the output of its map, or its half where one fused map has both, gate first."""
    module = block.up if part == "up" else block.gate
    assert module is not None
    fused = block.up is block.gate

    def after(_: nn.Module, __: Any, output: Tensor) -> Tensor | None:
        values = _by_row(output, plan)
        parts = list(values.chunk(2, dim=-1)) if fused else [values]
        which = 1 if fused and part == "up" else 0
        new = touch(parts[which])
        if new is None:
            return None
        parts[which] = new
        return (torch.cat(parts, dim=-1) if fused else new).reshape(output.shape)

    return module.register_forward_hook(after)


def _on_middle(block: Block, touch: Act, scale: float, plan: Plan) -> list[Any]:
    """resid_mid = resid_pre + attn_out: the sum is made inline, so it is changed through attn_out.

    Where a norm follows the sum (BERT) its output is the stream and is hooked itself.
    """
    if block.norm_after:
        return [_on_output(block.norm_after[0], touch, plan=plan)]
    held: dict[str, Tensor] = {}

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        held["pre"] = _stream_argument(args, kwargs)[2]

    def middle(values: Tensor) -> Tensor | None:
        pre = held.pop("pre")
        new = touch(pre + values)
        return None if new is None else new - pre

    first = block.whole.register_forward_pre_hook(before, with_kwargs=True)
    return [first, _on_output(block.attn, middle, scale, plan)]


def _pattern_listener(
    loaded: Loaded, patterns: dict[Site, list[Site]], plan: Plan
) -> attention.Listener:
    """Compute the wanted patterns when their attention module calls."""
    owner: dict[int, list[Site]] = {}
    for place, reads in patterns.items():
        block = loaded.block(place)
        cross = set(block.cross.modules()) if block.cross is not None else set()
        inside = cross if place.component == "cross_pattern" else set(block.whole.modules()) - cross
        owner |= {id(module): reads for module in inside}

    def hear(
        module: nn.Module, query: Tensor, key: Tensor, mask: Tensor | None, options: dict[str, Any]
    ) -> None:
        for site in owner.get(id(module), ()):
            plan.seen[site] = pattern_part(
                attention.weights(module, query, key, mask, options, site.unit), site, plan
            )

    return hear


def pattern_part(weights: Tensor, site: Site, plan: Plan) -> Tensor:
    """[row, head, query, key], or one head, one query of it."""
    if site.position is not None:
        local = site.position - plan.moment.offset
        weights = weights[:, :, max(local, 0) : max(local + 1, 0)]
    if site.unit is not None:
        weights = weights[:, 0]
    return torch.clone(weights)
