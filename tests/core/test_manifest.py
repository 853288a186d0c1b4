"""A shipped model that is damaged is one sentence naming the file."""

import shutil
from pathlib import Path

import pytest

from core.home import EMBEDDED
from core.models.library import open_model
from core.models.manifest import MANIFEST
from core.spec.errors import Error
from core.spec.request import ModelRef

NAME = "embedded-small"


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """A copy of a shipped model beside its manifest."""
    shutil.copytree(
        EMBEDDED / NAME, tmp_path / NAME, ignore=shutil.ignore_patterns("check*", "sae")
    )
    shutil.copy(EMBEDDED / MANIFEST, tmp_path / MANIFEST)
    return tmp_path / NAME


def test_a_shipped_model_opens(shipped: Path) -> None:
    assert open_model(ModelRef(str(shipped)), device="cpu").kind == "decoder"


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json"])
def test_one_changed_byte_is_told_by_the_name_of_the_file(file: str, shipped: Path) -> None:
    content = bytearray((shipped / file).read_bytes())
    content[-20] ^= 1
    (shipped / file).write_bytes(content)
    with pytest.raises(Error, match=f"{NAME}/{file} is missing or damaged"):
        open_model(ModelRef(str(shipped)), device="cpu")


def test_a_missing_file_is_told_by_its_name(shipped: Path) -> None:
    (shipped / "tokenizer_config.json").unlink()
    with pytest.raises(Error, match=r"tokenizer_config\.json is missing or damaged"):
        open_model(ModelRef(str(shipped)), device="cpu")
