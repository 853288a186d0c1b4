"""Copies of loaded models whose weights a test may write to."""

import copy

from core.models import loaded as loaded_module
from core.models.loaded import Loaded


def writable(m: Loaded) -> Loaded:
    """The same model with weights and memory of its own."""
    other = copy.copy(m)
    other.module, other.memo = copy.deepcopy(m.module), {}
    other.stacks = {
        name: loaded_module._stack(other.module, name, stack.family, m.config)
        for name, stack in m.stacks.items()
    }
    other.head = loaded_module.head_of(other.module, m.row)
    return other
