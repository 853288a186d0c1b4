"""What every test runs with: no network, one thread, a home of its own, tiny models."""

import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

# Before the first import of a library that reads them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["EIDOSCOPE_HOME"] = tempfile.mkdtemp(prefix="eidoscope-test-")
os.environ.pop("EIDOSCOPE_HOSTED", None)

import jaxtyping
import pytest
import torch

# Shapes named in annotations are checked whenever a test calls the function.
jaxtyping.install_import_hook(
    [
        "kernels.head_stats",
        "kernels.lens_topk",
        "kernels.top_examples",
        "core.analyses.runs",
        "core.analyses.scores",
        "core.engine.attention",
        "core.engine.frozen",
        "core.engine.head_attribution",
        "core.engine.head_sets",
        "core.engine.head_circuits",
        "core.engine.head_probe",
        "core.engine.head_weights",
        "core.engine.token_states",
        "core.engine.loss",
        "core.engine.neuron_classes",
        "core.engine.neuron_rows",
        "core.engine.readout",
        "core.engine.token_scores",
        "core.engine.writes",
    ],
    "beartype.beartype",
)

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has its own folder for the store and the user's files."""
    folder = tmp_path / "eidoscope-home"
    monkeypatch.setenv("EIDOSCOPE_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`tiny("llama")` is the folder of the tiny model, written once per test run. Read only."""
    from tests.tiny import make

    root, one_at_a_time = tmp_path_factory.mktemp("tiny-models"), threading.Lock()

    def folder(family: str) -> Path:
        with one_at_a_time:
            return root / family if (root / family).exists() else make(family, root / family)

    return folder
