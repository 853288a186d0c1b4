"""How many CPU threads a piece of work gets."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from threadpoolctl import threadpool_limits

from core.models.loaded import Loaded

# Below this many parameters a second thread gains nothing on a quiet machine, and on a busy one
# the two wait for each other at every small product: measured up to 20 times slower.
SMALL = 50_000_000


@contextmanager
def fitting_threads(loaded: Loaded) -> Iterator[None]:
    """One thread for small models on the CPU, the libraries' own choice for the others.

    numpy's threads too: two of them on a busy machine made small products 30 times slower.
    """
    before = torch.get_num_threads()
    parameters = sum(parameter.numel() for parameter in loaded.module.parameters())
    alone = loaded.device.type == "cpu" and parameters < SMALL
    with ExitStack() as stack:
        if alone:
            stack.enter_context(threadpool_limits(1, user_api="blas"))
        if alone and before > 1:
            stack.callback(torch.set_num_threads, before)
            torch.set_num_threads(1)
        yield
