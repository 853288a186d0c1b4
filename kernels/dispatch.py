"""Which implementation of an operation runs, and why, in words.

`EIDOSCOPE_KERNELS=reference` forces the plain torch definition everywhere;
`EIDOSCOPE_KERNELS=lens_topk:triton` asks for one implementation of one operation (several with
commas). What is asked for runs or is refused; it is never replaced by something else.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Way:
    """One way to run an operation: its module, and the devices it runs on."""

    name: str
    devices: tuple[str, ...]
    chosen_on: tuple[str, ...] = ()  # where it runs without being asked for
    reason: str = ""


REFERENCE = "reference"
# Every operation has its reference, on every device.
WAYS: dict[str, tuple[Way, ...]] = {
    "lens_topk": (
        Way(
            "blocks",
            devices=("cpu", "cuda"),
            chosen_on=("cpu", "cuda"),
            reason="exact selection in two stages, in plain torch",
        ),
        # On CUDA the plain one is chosen until `python -m benchmarks.lens_topk_gpu` was run.
        Way("triton", devices=("cuda",)),
    ),
    "top_examples": (),
    "class_moments": (
        Way(
            "blocks",
            devices=("cpu", "cuda"),
            chosen_on=("cpu",),
            reason="deviations multiplied in float32, summed in float64",
        ),
        # On CUDA float64 is the reference's own; this is there to be asked for until measured.
        Way("triton", devices=("cuda",)),
    ),
    # A chunk of queries at a time is all a processor needs: a few percent of a forward. On CUDA
    # the fused sweeps are there to be asked for until they were measured on a card.
    "head_stats": (Way("triton", devices=("cuda",)),),
    "sharded_attention": (
        Way(
            "blocks",
            devices=("cpu", "cuda"),
            chosen_on=("cpu", "cuda"),
            reason="visible blocks alone are gathered, in plain torch",
        ),
        # As above: on CUDA once it was measured on a card.
        Way("triton", devices=("cuda",)),
    ),
    "feature_topk": (
        Way(
            "blocks",
            devices=("cpu", "cuda"),
            chosen_on=("cpu", "cuda"),
            reason="blocks that cannot fire are passed over, in plain torch",
        ),
        # As lens_topk: until `python -m benchmarks.feature_topk_gpu` was run on a card.
        Way("triton", devices=("cuda",)),
    ),
    # Nothing is faster on a processor than the loop that the definition calls.
    "feature_decode": (Way("triton", devices=("cuda",)),),
}
OPERATIONS = tuple(WAYS)


def implementation(operation: str, device: str) -> tuple[Callable[..., Any], str]:
    """(function, reason) for an operation on a device type ("cpu", "cuda")."""
    if operation not in WAYS:
        raise ValueError(f"no operation {operation!r}; there are {', '.join(OPERATIONS)}")
    name, reason = _asked_for(operation, device) or _best(operation, device)
    return import_module(f"kernels.{operation}.{name}").run, reason


def _asked_for(operation: str, device: str) -> tuple[str, str] | None:
    """What EIDOSCOPE_KERNELS names for this operation; refused where it cannot run."""
    asked = os.environ.get("EIDOSCOPE_KERNELS", "")
    if not asked:
        return None
    if asked == REFERENCE:
        return REFERENCE, "EIDOSCOPE_KERNELS=reference"
    wanted = [_known(each) for each in asked.split(",")]
    for where, name in wanted:
        if where == operation:
            devices = _devices(where, name)
            if devices and device not in devices:
                raise ValueError(f"{where}:{name} runs on {' and '.join(devices)}, not on {device}")
            return name, f"EIDOSCOPE_KERNELS={asked}"
    return None


def _known(text: str) -> tuple[str, str]:
    """`lens_topk:triton` as a pair, refused where there is no such thing."""
    operation, _, name = text.strip().partition(":")
    if operation not in WAYS or name not in {REFERENCE, *(way.name for way in WAYS[operation])}:
        every = [f"{one}:{way.name}" for one, ways in WAYS.items() for way in ways]
        raise ValueError(
            f"EIDOSCOPE_KERNELS holds {text.strip()!r}; the choices are {REFERENCE}, or of "
            + ", ".join(every)
        )
    return operation, name


def _devices(operation: str, name: str) -> tuple[str, ...]:
    """Where it runs; () means anywhere."""
    return next((way.devices for way in WAYS[operation] if way.name == name), ())


def _best(operation: str, device: str) -> tuple[str, str]:
    for way in WAYS[operation]:
        if device in way.chosen_on:
            return way.name, way.reason
    if WAYS[operation]:
        return REFERENCE, f"no faster way for {device}"
    return REFERENCE, "the plain torch definition is the only one written so far"


def choices(device: str = "cpu") -> list[tuple[str, str, str]]:
    """(operation, implementation, reason) for the status page."""
    found = []
    for operation in OPERATIONS:
        run, reason = implementation(operation, device)
        found.append((operation, run.__module__.rpartition(".")[2], reason))
    return found
