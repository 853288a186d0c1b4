"""Identities every loaded model must satisfy: they prove its row of the family table.

(a) resid_pre + attn_out + mlp_out = resid_post      (d) pattern rows sum to 1, nothing ahead
(b) heads through the output matrix = attn_out       (e) reading everything keeps the logits' bits
(c) unembed(last resid_post) = logits, caps shown    (f) scaling a head by 0 changes the logits
(g) act(gate) x up = neuron, or act(up)               (h) mlp_in through its map = up, gate

Run on one row of a few tokens; a failed check names the layer and the identity.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core.engine import attention
from core.engine.forward import Trace, run
from core.engine.readout import unembed
from core.engine.rows import Rows, rows
from core.models.loaded import Loaded, Stack
from core.spec.interventions import Scale
from core.spec.site import COMPONENTS, MLP_PARTS, NEURONS, PATTERNS, Site

# Relative to the largest entry; half precision carries about three digits.
TOLERANCE = {torch.float32: 2e-4, torch.float64: 1e-9}
LOOSE = 4e-2
_N_TOKENS = 12

NAMES = {
    "a": "resid_pre + attn_out + mlp_out = resid_post",
    "b": "heads through the output matrix = attn_out",
    "c": "unembed(last resid_post) = logits",
    "d": "pattern rows sum to 1, nothing after the query",
    "e": "reading everything leaves the logits bit-identical",
    "f": "scaling a head by 0 changes the logits",
    "g": "act(gate) x up = neuron, without a gate act(up) = neuron",
    "h": "mlp_in through the maps into the neurons = up and gate (experts: the norm's output)",
}
# What cannot be shown when a check fails; anything else refuses the model.
LOST = {
    "c": "logit lens and direct effects on tokens",
    "d": "attention patterns",
    "g": "up and gate of single neurons",
    "h": "what the MLPs read",
}


class _Failed(Exception):
    """One identity does not hold; the message names where and by how much."""


@dataclass(frozen=True)
class Outcome:
    """One check: its letter, "passed", "failed" or "not applicable", and the detail."""

    letter: str
    state: str
    detail: str

    def line(self) -> tuple[str, str, str, str]:
        return (self.letter, NAMES[self.letter], self.state, self.detail)


def prove(loaded: Loaded) -> list[Outcome]:
    """Run all checks; sets `loaded.pattern_source` to where patterns come from, if anywhere."""
    with loaded.busy():
        return _prove(loaded)


def _prove(loaded: Loaded) -> list[Outcome]:
    loaded.pattern_source = _pattern_source(loaded)
    probe = rows(loaded, [_probe_ids(loaded)])
    everything = readable(loaded)
    seen = run(loaded, probe, read=everything, logits="all" if loaded.head else "none")
    checks: dict[str, Callable[[], str]] = {
        "a": lambda: _sums(loaded, seen),
        "b": lambda: _heads(loaded, seen),
        "c": lambda: _logits(loaded, probe),
        "d": lambda: _patterns(loaded, seen),
        "e": lambda: _untouched(loaded, probe, seen),
        "f": lambda: _causal(loaded, probe),
        "g": lambda: _neurons(loaded, seen),
        "h": lambda: _mlp_inputs(loaded, seen),
    }
    outcomes = [_outcome(letter, check) for letter, check in checks.items()]
    if any(o.letter == "d" and o.state == "failed" for o in outcomes):
        loaded.pattern_source = ""
    failed = {outcome.letter for outcome in outcomes if outcome.state == "failed"}
    loaded.mlp_parts = "g" not in failed
    loaded.mlp_input = "h" not in failed
    return outcomes


def _outcome(letter: str, check: Callable[[], str]) -> Outcome:
    try:
        detail = check()
    except _Failed as failure:
        return Outcome(letter, "failed", str(failure))
    if detail.startswith("-"):
        return Outcome(letter, "not applicable", detail[1:].strip())
    return Outcome(letter, "passed", detail)


def _pattern_source(loaded: Loaded) -> str:
    if loaded.row.patterns == "outputs":
        # These families choose by this setting at every call; only eager ones hand weights out,
        # and asking others for them would take another path with other numbers.
        loaded.module.config._attn_implementation_internal = "eager"  # type: ignore[union-attr]
        return "outputs"
    return "interface" if attention.install(loaded.module) else ""


def _probe_ids(loaded: Loaded) -> list[int]:
    ids = [
        int(i) for i in loaded.tokenizer("The cat sat on a mat. One two three four.")["input_ids"]
    ]
    return ids[:_N_TOKENS] or [1, 2, 3]


def readable(loaded: Loaded) -> list[Site]:
    """Every whole component of every layer that this model has."""
    sites = []
    for name, stack in loaded.stacks.items():
        for layer, block in enumerate(stack.blocks):
            for component in COMPONENTS:
                if component.startswith("cross") and block.cross is None:
                    continue
                if component in NEURONS and block.neurons is None:
                    continue
                if component in MLP_PARTS and not loaded.mlp_parts:
                    continue
                if component == "gate" and block.gate is None:
                    continue
                if component == "mlp_in" and (block.mlp_in is None or not loaded.mlp_input):
                    continue
                if component == "resid_mid" and stack.parallel:
                    continue
                if component in PATTERNS and not loaded.pattern_source:
                    continue
                sites.append(Site(layer, component, stack=name))  # type: ignore[arg-type]
    return sites


def _same(found: Tensor, wanted: Tensor, what: str) -> float:
    """Largest difference relative to the largest entry; `_Failed` when it is too large."""
    error = float((found.double() - wanted.double()).abs().max())
    error /= max(float(wanted.double().abs().max()), 1e-30)
    limit = TOLERANCE.get(wanted.dtype, LOOSE)
    if not error <= limit:
        raise _Failed(f"{what}: relative difference {error:.2g}, allowed {limit:.0e}")
    return error


def _every_layer(loaded: Loaded) -> Iterator[tuple[str, Stack, int]]:
    for name, stack in loaded.stacks.items():
        for layer in range(len(stack.blocks)):
            yield name, stack, layer


def _sums(loaded: Loaded, seen: Trace) -> str:
    worst = 0.0
    for name, stack, layer in _every_layer(loaded):

        def at(component: str, name: str = name, layer: int = layer) -> Tensor:
            return seen.values[Site(layer, component, stack=name)]  # type: ignore[arg-type]

        total = at("resid_pre") + at("attn_out")
        after = stack.blocks[layer].norm_after
        if after:
            total = after[0](total)
        if stack.blocks[layer].cross is not None:
            total = total + at("cross_out")
        total = total + at("mlp_out")
        if after:
            total = after[1](total)
        where = f"{name + '.' if name else ''}layer {layer}"
        worst = max(worst, _same(total, at("resid_post"), f"{where}: the parts do not add up"))
    return f"largest relative difference {worst:.1e}"


def _heads(loaded: Loaded, seen: Trace) -> str:
    worst = 0.0
    for name, stack, layer in _every_layer(loaded):
        block = stack.blocks[layer]
        pairs = [("head", "attn_out", block.heads, block.post_attn)]
        if block.cross_heads is not None:
            pairs.append(("cross_head", "cross_out", block.cross_heads, None))
        for head, out, linear, norm in pairs:
            z = seen.values[Site(layer, head, stack=name)]  # type: ignore[arg-type]
            mixed = linear(z.reshape(*z.shape[:2], -1))
            if norm is not None:
                mixed = norm(mixed)
            wanted = seen.values[Site(layer, out, stack=name)]  # type: ignore[arg-type]
            what = f"layer {layer}: heads do not give {out}"
            worst = max(worst, _same(mixed * stack.stream_scale, wanted, what))
    return f"largest relative difference {worst:.1e}"


def _logits(loaded: Loaded, probe: Rows) -> str:
    if loaded.head is None:
        return "- this checkpoint has no head for predictions"
    last = Site(loaded.n_layers - 1, "resid_post")
    with _louder(loaded.head):
        seen = run(loaded, probe, read=[last])
        assert seen.logits is not None
        found = unembed(loaded, seen.values[last])
    error = _same(found, seen.logits, "the last resid_post does not give the logits")
    return f"relative difference {error:.1e}, with logits large enough for caps to show"


@contextmanager
def _louder(head: nn.Module) -> Iterator[None]:
    """Scale what the unembedding says to about 60, where a soft cap bends."""
    factor: dict[str, float] = {}

    def after(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        factor.setdefault("by", 60.0 / max(float(output.abs().max()), 1e-9))
        return output * factor["by"]

    handle = head.register_forward_hook(after)
    try:
        yield
    finally:
        handle.remove()


def _neurons(loaded: Loaded, seen: Trace) -> str:
    if loaded.d_mlp == 0:
        return "- the experts are one fused map in this family"
    worst = 0.0
    for name, stack, layer in _every_layer(loaded):
        block, where = stack.blocks[layer], f"{name + '.' if name else ''}layer {layer}"
        if block.act is None:
            raise _Failed(f"{where}: the nonlinearity is no module of its own")
        up = seen.values[Site(layer, "up", stack=name)]
        gate = seen.values.get(Site(layer, "gate", stack=name))
        found = block.act(up) if gate is None else block.act(gate) * up
        wanted = seen.values[Site(layer, "neuron", stack=name)]
        what = "act(up)" if gate is None else "act(gate) x up"
        worst = max(worst, _same(found, wanted, f"{where}: {what} is not the neuron"))
    return f"largest relative difference {worst:.1e}"


def _mlp_inputs(loaded: Loaded, seen: Trace) -> str:
    worst = 0.0
    for name, stack, layer in _every_layer(loaded):
        block, where = stack.blocks[layer], f"{name + '.' if name else ''}layer {layer}"
        if block.mlp_in is None:
            raise _Failed(f"{where}: the row names no module that reads what the MLP reads")
        given = seen.values[Site(layer, "mlp_in", stack=name)]
        if block.up is None:
            stream = Site(layer, "resid_pre" if stack.parallel else "resid_mid", stack=name)
            assert block.norm_mlp is not None
            wanted = block.norm_mlp(seen.values[stream])
            worst = max(worst, _same(given, wanted, f"{where}: mlp_in is not the norm's output"))
            continue
        parts = [Site(layer, "up", stack=name)]
        parts += [Site(layer, "gate", stack=name)] if block.gate is not None else []
        for site in parts:
            module = block.up if site.component == "up" else block.gate
            assert module is not None
            found = module(given)
            if block.up is block.gate:
                found = found.chunk(2, dim=-1)[1 if site.component == "up" else 0]
            what = f"{where}: mlp_in does not give {site.component}"
            worst = max(worst, _same(found, seen.values[site], what))
    return f"largest relative difference {worst:.1e}"


def _patterns(loaded: Loaded, seen: Trace) -> str:
    found = [site for site in seen.values if site.component in PATTERNS]
    if not found:
        return "- this family does not hand out its attention patterns"
    worst = 0.0
    for site in found:
        pattern = seen.values[site]
        sums = pattern.sum(dim=-1)
        worst = max(worst, _same(sums, torch.ones_like(sums), f"{site}: rows do not sum to 1"))
        causal = loaded.kind != "encoder" and not site.stack and site.component == "pattern"
        if causal and float(pattern.triu(1).abs().max()) > 0:
            raise _Failed(f"{site}: a token attends to one behind it")
    source = "" if loaded.pattern_source == "interface" else "; read from the model's outputs"
    return f"largest difference from 1: {worst:.1e}{source}"


def _untouched(loaded: Loaded, probe: Rows, seen: Trace) -> str:
    if seen.logits is None:
        return "- no logits to compare"
    plain = run(loaded, probe).logits
    if not torch.equal(seen.logits, plain):  # type: ignore[arg-type]
        worst = float((seen.logits - plain).abs().max())  # type: ignore[operator]
        raise _Failed(f"reading every site moved the logits by up to {worst:.2g}")
    return "every bit is the same"


def _causal(loaded: Loaded, probe: Rows) -> str:
    if loaded.head is None:
        return "- no logits to change"
    silent = Scale(Site(0, "head", 0), 0.0)
    plain, changed = run(loaded, probe).logits, run(loaded, probe, change=[[silent]]).logits
    moved = float((plain - changed).abs().max())  # type: ignore[operator]
    if not moved > 0:
        raise _Failed("scaling L0.head[0] by 0 did not change the logits")
    return f"logits move by up to {moved:.2g}"
