"""The tiny models other tests stand on: the same bytes every time, and nothing left at rest."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from core.models.library import open_model
from core.spec.request import ModelRef
from tests.families.recipes import FAMILIES
from tests.tiny import make


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tiny_model_is_the_same_every_time(
    family: str, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(99)
        again = make(family, tmp_path / family)
    for file in tiny(family).iterdir():
        assert file.read_bytes() == (again / file.name).read_bytes(), file.name


@pytest.mark.parametrize("family", FAMILIES)
def test_no_weight_is_at_its_default(family: str, tiny: Callable[[str], Path]) -> None:
    for name, tensor in load_file(tiny(family) / "model.safetensors").items():
        assert tensor.std() > 0.01, name
        assert tensor.abs().max() < 10, name


def test_changes_reach_the_configuration(tmp_path: Path) -> None:
    folder = make("llama", tmp_path / "model", num_hidden_layers=1, tie_word_embeddings=True)
    module = open_model(ModelRef(str(folder)), device="cpu").module
    assert len(module.model.layers) == 1
    assert module.lm_head.weight is module.model.embed_tokens.weight
