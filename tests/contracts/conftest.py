"""Every family of the table, loaded as a person would load it: from a folder."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from core.models.build import build
from core.models.library import open_model
from core.models.loaded import Loaded
from core.spec.request import ModelRef


@pytest.fixture(scope="session")
def model(tiny: Callable[[str], Path]) -> Callable[[str], Loaded]:
    """`model("llama")` is the tiny model, loaded and proved, once per test run."""

    @cache
    def load(family: str) -> Loaded:
        ref = ModelRef(str(tiny(family)))
        return build(open_model(ref, device="cpu"), ref)

    return load
