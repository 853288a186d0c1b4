"""Fixtures of the tests of the core."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def folder(tiny: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of the tiny Llama that a test may damage."""
    shutil.copytree(tiny("llama"), tmp_path / "model")
    return tmp_path / "model"
