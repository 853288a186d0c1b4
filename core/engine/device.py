"""How many CPU threads a piece of work gets."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from core.models.loaded import Loaded

# Below this many parameters a second thread gains nothing on a quiet machine, and on a busy one
# the two wait for each other at every small product: measured up to 20 times slower.
SMALL = 50_000_000


@contextmanager
def fitting_threads(loaded: Loaded) -> Iterator[None]:
    """One thread for small models on the CPU, torch's own choice for the others."""
    before = torch.get_num_threads()
    parameters = sum(parameter.numel() for parameter in loaded.module.parameters())
    alone = loaded.device.type == "cpu" and parameters < SMALL
    if alone and before > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)
