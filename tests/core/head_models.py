"""Planted and tiny models for the tests of heads by their weights."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from core.analyses.head_ovqk import head_ovqk
from core.analyses.head_scores import head_scores
from core.analyses.runs import Silent
from core.models.build import build
from core.models.library import open_model
from core.models.loaded import Loaded
from core.spec.request import ModelRef
from tests import planted_heads
from tests.planted_successor import successor

Tiny = Callable[[str], Path]
Model = Callable[[str], Loaded]


@pytest.fixture(scope="module")
def model(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """`model("llama")` the tiny one, `model("P1")` a planted one; loaded once and kept."""
    planted: dict[str, Any] = {
        "P1": planted_heads.gpt2,
        "P2": planted_heads.llama,
        "P3": successor,
    }

    @cache
    def load(name: str) -> Loaded:
        if name in planted:
            folder = planted[name](tmp_path_factory.mktemp("planted") / name)
        else:
            folder = tiny(name)
        ref = ModelRef(str(folder))
        return build(open_model(ref, device="cpu"), ref)

    return load


def scores(loaded: Loaded, **options: Any) -> Any:
    return head_scores(loaded, Silent(), **options)


def ovqk(loaded: Loaded, **options: Any) -> Any:
    return head_ovqk(loaded, Silent(), **{"layer": 1, "head": 0, **options})
