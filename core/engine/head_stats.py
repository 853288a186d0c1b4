"""Sums of what every head looks at, heard during one ordinary forward.

The model's own attention goes on unchanged; beside it the kernel `head_stats` sees the same
queries and keys. Families that hand out only whole patterns are read from those, one layer at a
time, as each is made.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.engine import attention
from core.engine.forward import Logits, run
from core.engine.rows import Rows
from core.engine.writes import write_matrix
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.site import Site
from kernels.head_stats import Scores, Stats, Targets, head_stats, pattern_stats

# "plain": the weights. "without_first": the first token taken out and the rest scaled up to 1.
# "by_value": weight times the length of what the head writes for the key, scaled to sum to 1.
Reading = Literal["plain", "without_first", "by_value"]
READINGS: tuple[str, ...] = ("plain", "without_first", "by_value")
# (layer, statistics of its heads, the same of uniform attention [row, .., 1 head, ..])
Take = Callable[[int, Stats, Stats], None]

_MASKS = 4  # whose uniform attention is remembered: full and window layers take turns
_OUT = -1e9  # takes a key out; above the score of a key that is not seen, so query 0 keeps its own


def collect(
    loaded: Loaded,
    rows: Rows,
    aims: Targets,
    groups: Float[Tensor, "group row token"],
    take: Take,
    *,
    reach: int = 0,
    reading: Reading = "plain",
    logits: Logits = "none",
    check: Callable[[], None] | None = None,
) -> Tensor | None:
    """Run the rows once and hand over the statistics of every layer as it passes.

    Returns the logits asked for (`core.engine.forward.run`), None for "none". The layers are
    those that read the prompt: an encoder-decoder's encoder. Raises `Error` where a model hands
    out no attention, or not what the reading needs.
    """
    _refuse(loaded, reading)
    last = len(loaded.stacks[loaded.prompt_stack].blocks) - 1
    read = [Site(last, "resid_post", stack=loaded.prompt_stack)] if logits == "none" else []
    ear = _Ear(loaded, aims, groups, take, reach, reading)
    with loaded.busy(), ear.listening():
        return run(loaded, rows, read=read, logits=logits, check=check).logits


def _refuse(loaded: Loaded, reading: str) -> None:
    if not loaded.pattern_source:
        raise Error(f"{loaded.family} does not hand out its attention, so its heads have no scores")
    if reading not in READINGS:
        raise Error(f"reading is one of {', '.join(READINGS)}, not {reading!r:.40}")
    if reading == "by_value" and loaded.pattern_source == "outputs":
        raise Error(
            f"{loaded.family} hands out its patterns without the values, so attention cannot be "
            "weighed by them; use reading 'plain' or 'without_first'"
        )


class _Ear:
    """Hears the attention of every layer and lets the kernel add it up."""

    def __init__(
        self,
        loaded: Loaded,
        aims: Targets,
        groups: Tensor,
        take: Take,
        reach: int,
        reading: Reading,
    ) -> None:
        self.loaded, self.aims, self.groups = loaded, aims, groups
        self.take, self.reach, self.reading = take, reach, reading
        self.causal = loaded.kind == "decoder"
        self.blocks = loaded.stacks[loaded.prompt_stack].blocks
        # By the mask, which layers share: (the mask, so that its place in memory stays its own).
        self._uniform: dict[int, tuple[Tensor | None, Stats]] = {}
        self._there = {groups.device: (aims, groups)}  # a model may lie on several devices

    @contextmanager
    def listening(self) -> Iterator[None]:
        if self.loaded.pattern_source == "interface":
            with attention.listening(self._listener()):
                yield
            return
        with ExitStack() as stack:
            for handle in self._hooks():
                stack.callback(handle.remove)
            yield

    def _listener(self) -> attention.Listener:
        layer_of: dict[int, int] = {}
        for layer, block in enumerate(self.blocks):
            cross = set(block.cross.modules()) if block.cross is not None else set()
            layer_of |= {id(module): layer for module in set(block.whole.modules()) - cross}

        def hear(
            module: nn.Module,
            query: Tensor,
            key: Tensor,
            mask: Tensor | None,
            options: dict[str, Any],
        ) -> None:
            layer = layer_of.get(id(module))
            if layer is None:
                return
            rule = self._rule(layer, query, mask, options)
            stats = head_stats(query, key, rule, *self._asked(query.device), self.reach)
            self.take(layer, self._home(stats), self._uniform_of(query, mask))

        return hear

    def _rule(
        self, layer: int, query: Tensor, mask: Tensor | None, options: dict[str, Any]
    ) -> Scores:
        scaling = options.get("scaling")
        weigh = None
        if self.reading == "by_value":
            weigh = value_lengths(self.loaded, layer, options["value"]).log()
        elif self.reading == "without_first":
            weigh = self._first_out(query.shape[1]).to(query.device)
        return Scores(
            query.shape[-1] ** -0.5 if scaling is None else scaling,
            self.causal,
            options.get("softcap"),
            mask,
            options.get("position_bias"),
            weigh,
        )

    def _first_out(self, heads: int) -> Tensor:
        _, rows, tokens = self.groups.shape
        out = self.groups.new_zeros(rows, heads, tokens)
        out[..., 0] = _OUT
        return out

    def _uniform_of(self, query: Tensor, mask: Tensor | None) -> Stats:
        """What uniform attention over the same keys would show: scores that are all alike."""
        if id(mask) not in self._uniform:
            alike = query.new_zeros(query.shape[0], 1, query.shape[2], 1)
            one = mask[:, :1] if mask is not None else None
            if one is not None and one.dtype != torch.bool:
                one = one > torch.finfo(one.dtype).min / 2
            weigh = self._first_out(1).to(query.device) if self.reading == "without_first" else None
            rule = Scores(1.0, self.causal, mask=one, key_bias=weigh)
            found = head_stats(alike, alike, rule, *self._asked(query.device), self.reach)
            if len(self._uniform) == _MASKS:
                del self._uniform[next(iter(self._uniform))]
            self._uniform[id(mask)] = (mask, self._home(found))
        return self._uniform[id(mask)][1]

    def _asked(self, device: torch.device) -> tuple[Targets, Tensor]:
        """The targets and groups where a layer's queries are."""
        if device not in self._there:
            self._there[device] = (self.aims.to(device), self.groups.to(device))
        return self._there[device]

    def _home(self, stats: Stats) -> Stats:
        return Stats(*(each.to(self.groups.device) for each in stats))

    def _hooks(self) -> Iterator[Any]:
        for layer, block in enumerate(self.blocks):
            pending = _Once()
            yield block.whole.register_forward_pre_hook(pending.begin)
            for module in block.whole.modules():
                if module is not block.whole:
                    yield module.register_forward_hook(self._heard(layer, pending))

    def _heard(self, layer: int, pending: "_Once") -> Callable[..., None]:
        def after(_: nn.Module, __: Any, output: Any) -> None:
            pattern = _pattern(output, self.loaded.n_heads)
            if pattern is None or not pending.take():
                return
            seen = (pattern > 0).any(dim=1, keepdim=True).float()
            uniform = seen / seen.sum(-1, keepdim=True).clamp_min(1)
            self.take(layer, self._home(self._of(pattern)), self._home(self._of(uniform)))

        return after

    def _of(self, pattern: Tensor) -> Stats:
        aims, groups = self._asked(pattern.device)
        out = None
        if self.reading == "without_first":
            out = self._first_out(pattern.shape[1]).to(pattern.device)
        return pattern_stats(pattern, self.causal, aims, groups, self.reach, out)


class _Once:
    """A pattern is handed out by the attention module and again by those around it."""

    def __init__(self) -> None:
        self.open = False

    def begin(self, *_: Any) -> None:
        self.open = True

    def take(self) -> bool:
        first, self.open = self.open, False
        return first


def _pattern(output: Any, heads: int) -> Tensor | None:
    """The [row, head, query, key] weights among what a module returns, if they are there."""
    if not isinstance(output, tuple) or len(output) < 2:
        return None
    found = output[1]
    square = isinstance(found, Tensor) and found.ndim == 4 and found.shape[2] == found.shape[3]
    return found if square and found.shape[1] == heads else None


def value_lengths(
    loaded: Loaded, layer: int, value: Float[Tensor, "row kv_head key d_head"]
) -> Float[Tensor, "row head key"]:
    """Length of what each head would write for each key, ||v W_O||, before any post-norm."""
    write = write_matrix(loaded, Site(layer, "head", stack=loaded.prompt_stack)).to(value.device)
    rows, shared, keys, d_head = value.shape
    gram = (write @ write.transpose(1, 2)).view(1, shared, -1, d_head, d_head)
    each = value.float()[:, :, None]  # [row, kv head, 1, key, d_head]
    squared = ((each @ gram) * each).sum(-1)
    return squared.view(rows, -1, keys).clamp_min(1e-24).sqrt()
