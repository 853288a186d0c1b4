"""A tiny Llama with grouped keys, and the small third-party model, loaded once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core import api
from core.models.loaded import Loaded

STORIES = Path(__file__).parents[1] / "data" / "models" / "stories260k"


@pytest.fixture(scope="session")
def llama(tiny: Callable[[str], Path]) -> Loaded:
    return api.load(tiny("llama"), device="cpu")


@pytest.fixture(scope="session")
def gpt2(tiny: Callable[[str], Path]) -> Loaded:
    return api.load(tiny("gpt2"), device="cpu")


@pytest.fixture(scope="session")
def stories() -> Loaded:
    """stories260K (MIT), trained by nobody here: 5 layers x 64, 8 heads on 4 key-value heads."""
    return api.load(STORIES, device="cpu")
