"""Fixtures of the tests of the core: tiny models, the third-party one, and a folder to damage."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from core import api
from core.models.loaded import Loaded

STORIES = Path(__file__).parents[1] / "data" / "models" / "stories260k"


@pytest.fixture
def folder(tiny: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of the tiny Llama that a test may damage."""
    shutil.copytree(tiny("llama"), tmp_path / "model")
    return tmp_path / "model"


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
