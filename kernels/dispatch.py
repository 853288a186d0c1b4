"""Which implementation of an operation runs, and why, in words.

`EIDOSCOPE_KERNELS=reference` forces the plain torch definition everywhere.
"""

import os
from collections.abc import Callable
from importlib import import_module, util
from typing import Any

OPERATIONS = ("lens_topk", "top_examples")


def implementation(operation: str, device: str) -> tuple[Callable[..., Any], str]:
    """(function, reason) for an operation on a device type ("cpu", "cuda")."""
    if operation not in OPERATIONS:
        raise ValueError(f"no operation {operation!r}; there are {', '.join(OPERATIONS)}")
    reference = import_module(f"kernels.{operation}.reference").run
    wanted = os.environ.get("EIDOSCOPE_KERNELS", "")
    if wanted == "reference":
        return reference, "EIDOSCOPE_KERNELS=reference"
    if wanted:
        raise ValueError(f"EIDOSCOPE_KERNELS={wanted!r}; the only choice is 'reference'")
    if util.find_spec(f"kernels.{operation}.triton") is None:
        return reference, "the plain torch definition is the only one written so far"
    if device != "cuda":
        return reference, f"no fast kernel for {device}"
    return import_module(f"kernels.{operation}.triton").run, "triton on cuda"


def choices(device: str = "cpu") -> list[tuple[str, str, str]]:
    """(operation, implementation, reason) for the status page."""
    found = []
    for operation in OPERATIONS:
        run, reason = implementation(operation, device)
        found.append((operation, run.__module__.rpartition(".")[2], reason))
    return found
