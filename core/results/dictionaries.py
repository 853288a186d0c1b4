"""The sparse dictionaries of a model: what each is, or why it cannot be read."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.results.base import Result


@dataclass(frozen=True)
class Dictionaries(Result):
    """One row per dictionary; of one that was not opened only the name and the path are known."""

    name: ClassVar[str] = "dictionaries"
    names: tuple[str, ...]
    sites: tuple[str, ...]  # where each reads, "" when it was not opened
    out_sites: tuple[str, ...]
    formats: tuple[str, ...]
    kinds: tuple[str, ...]  # "TopK 16", "JumpReLU" ...
    norms: tuple[str, ...]  # what is done to activations first: "none", "scale", "layernorm" ...
    fingerprints: tuple[str, ...]  # SHA-256 of its files and of how they are read
    models: tuple[str, ...]  # the model it says it was trained on
    notes: tuple[tuple[str, ...], ...]  # what was assumed on reading
    faults: tuple[str, ...]  # why it cannot be used, "" when it can
    paths: tuple[str, ...]  # "" on a hosted server
    added: np.ndarray  # [dictionary] bool, by a person and not beside the model's weights
    n_features: np.ndarray  # [dictionary] int64, -1 when it was not opened
    declared_l0: np.ndarray  # [dictionary], 0 where nothing is declared
    file_bytes: np.ndarray  # [dictionary] int64, of its files

    def usable(self) -> tuple[str, ...]:
        """The names of those without a fault."""
        return tuple(name for name, fault in zip(self.names, self.faults, strict=True) if not fault)
