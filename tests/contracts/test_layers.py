"""Imports point down: every file against the table of docs/architecture.md."""

import ast
import re
import sys
from dataclasses import dataclass

import pytest

from tests.contracts.sources import ROOT, files, imports, name

TORCH = ("torch", "numpy", "jaxtyping")
MODELS = (*TORCH, "transformers", "tokenizers", "safetensors", "sentencepiece", "accelerate")
ENGINE = ("core.engine", "core.models", "core.dictionaries", "core.corpus")


@dataclass(frozen=True)
class Row:
    """What a folder may import besides the standard library; `late` only inside functions."""

    may: tuple[str, ...]
    late: tuple[str, ...] = ()


PAGES = Row(
    (
        *("streamlit", "plotly", "numpy", "pandas", "pages"),
        *(
            "core.spec",
            "core.jobs",
            "core.results",
            "core.concepts",
            "core.concept_sets",
            "core.difference",
            "core.labelled",
            "core.own_sets",
            "core.paper_sets",
            "core.figures",
            "core.home",
            "core.recent",
            "core.status",
        ),
    )
)
SPEC = Row(("core.spec", "core.home"))
SETS = Row((*SPEC.may, "core.concepts", "core.labelled", "core.own_sets", "core.planted_sets"))
JOBS = Row(
    (
        *("numpy", "psutil"),
        *("core.spec", "core.home", "core.results", "core.store", "core.status"),
        *("core.jobs", "core.answers", "core.queue", "core.worker"),
    ),
    late=("torch", "kernels", "core.analyses", *ENGINE),
)
MODEL_ROOM = Row(
    (
        *(*MODELS, "psutil", "huggingface_hub", "threadpoolctl", "kernels"),
        *("core.spec", "core.home", "core.results", *ENGINE),
    )
)

# The longest matching name decides.
TABLE: dict[str, Row] = {
    "app": PAGES,
    "pages": PAGES,
    "core": Row(()),
    "core.spec": SPEC,
    "core.home": SPEC,
    "core.concepts": SPEC,
    "core.concept_sets": SETS,
    "core.labelled": SPEC,
    "core.own_sets": SETS,
    "core.paper_sets": SETS,
    "core.planted_sets": SETS,
    "core.recent": SPEC,
    "core.difference": Row(("numpy", "core.spec", "core.results")),
    "core.results": Row(("numpy", "pandas", "core.spec", "core.results")),
    "core.figures": Row(
        ("numpy", "pandas", "plotly", "core.spec", "core.results", "core.figures"),
    ),
    "core.answers": JOBS,
    "core.jobs": JOBS,
    "core.queue": JOBS,
    "core.worker": JOBS,
    "core.store": JOBS,
    "core.status": JOBS,
    "core.analyses": Row(
        (
            *(*TORCH, "pandas", "scipy", "sklearn", "umap", "kernels"),
            *("core.spec", "core.home", "core.results", "core.analyses", *ENGINE),
            *("core.concepts", "core.concept_sets", "core.labelled", "core.galleries"),
        )
    ),
    "core.galleries": Row(
        (
            *(*TORCH, "safetensors", "scipy", "pyarrow", "duckdb", "kernels"),
            *("core.spec", "core.home", "core.galleries", *ENGINE),
        )
    ),
    "core.engine": MODEL_ROOM,
    "core.models": MODEL_ROOM,
    "core.dictionaries": MODEL_ROOM,
    "core.corpus": Row(
        (
            *("numpy", "pandas", "pyarrow", "duckdb"),
            *("core.spec", "core.home", "core.corpus", "core.models"),
        )
    ),
    "core.bar": Row(("core.analyses",), late=("tqdm",)),
    "core.api": Row(
        (
            *("numpy", "pandas", "core.spec", "core.home", "core.results", "core.jobs"),
            *("core.store", "core.status", "core.analyses", "core.bar", "core.concepts"),
            *("core.concept_sets", "core.labelled", "core.own_sets", *ENGINE),
        ),
        late=("torch", "plotly", "core.difference", "core.figures"),
    ),
    "kernels": Row((*TORCH, "kernels"), late=("triton",)),
    # Imported inside a function, by the path that runs them.
    "kernels.feature_topk.programs": Row(("triton",)),
    "kernels.head_stats.programs": Row(("triton",)),
    "kernels.sharded_attention.programs": Row(("triton", "kernels.head_stats.programs")),
}


def module_of(path: str) -> str:
    """`core/spec/site.py` is `core.spec.site`; `core/spec/__init__.py` is `core.spec`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def below(module: str, top: str) -> bool:
    return module == top or module.startswith(f"{top}.")


def row_of(module: str) -> str:
    """The name of the row that governs a module: the longest that contains it."""
    return max((top for top in TABLE if below(module, top)), key=len)


def violations(path: str, source: str) -> list[str]:
    """Imports of one file that its row does not allow, as sentences."""
    own = module_of(path)
    if not any(below(own, top) for top in TABLE) or (row_of(own) == "core" and own != "core"):
        return [f"{path}: no row of docs/architecture.md covers this file; add one there and here"]
    top = row_of(own)
    row, found = TABLE[top], []
    for item in imports(source, path):
        if item.module.partition(".")[0] in sys.stdlib_module_names:
            continue
        allowed = row.may + (row.late if item.late else ())
        if not any(below(item.module, one) for one in allowed):
            when = "" if item.late else " at the top"
            found.append(f"{path}:{item.line}: {top} may not import {item.module}{when}")
    return found


def test_every_file_imports_only_what_its_row_allows():
    found = []
    for path in files("app.py", "pages", "core", "kernels"):
        found += violations(name(path), path.read_text(encoding="utf-8"))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("path", "source", "named"),
    [
        ("pages/steer.py", "import torch", "torch"),
        ("pages/steer.py", "from core import api", "core.api"),
        ("pages/steer.py", "def f():\n    from core.engine import forward", "core.engine.forward"),
        ("app.py", "import core.analyses.lens", "core.analyses.lens"),
        ("core/spec/site.py", "import numpy as np", "numpy"),
        ("core/results/lens.py", "import torch", "torch"),
        ("core/figures/lens.py", "import streamlit as st", "streamlit"),
        ("core/jobs.py", "from core.analyses import answer", "core.analyses.answer"),
        ("core/jobs.py", "import torch", "torch"),
        ("core/jobs.py", "def f():\n    import streamlit", "streamlit"),
        ("core/engine/forward.py", "from core.analyses import lens", "core.analyses.lens"),
        ("core/analyses/lens.py", "import plotly.graph_objects as go", "plotly.graph_objects"),
        ("kernels/lens_topk/reference.py", "from core.spec.site import Site", "core.spec.site"),
        ("kernels/lens_topk/triton.py", "import triton", "triton"),
        (
            "kernels/dispatch.py",
            "import importlib\nimportlib.import_module('transformers')",
            "tran",
        ),
        ("core/spec/site.py", "from . import errors", "errors"),
        ("core/odds_and_ends.py", "", "no row"),
    ],
)
def test_a_wrong_import_is_seen(path, source, named):
    (sentence,) = violations(path, source)
    assert named in sentence


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("core/jobs.py", "def work():\n    from core.analyses import answer"),
        ("core/jobs.py", "class Worker:\n    def go(self):\n        import torch"),
        ("kernels/lens_topk/triton.py", "def kernel():\n    import triton"),
        ("pages/steer.py", "import json\nimport streamlit as st\nfrom pages.shared import frame"),
        ("core/models/pool.py", "from typing import TYPE_CHECKING\nimport transformers"),
    ],
)
def test_an_import_the_table_allows_passes(path, source):
    assert violations(path, source) == []


def test_the_rows_are_those_of_the_document():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]*?) \|", text, re.MULTILINE)
    told = {module_of(folder) for row in rows for folder in re.findall(r"`([^`]+)`", row)}
    unnamed = {"core", "core.answers", "core.api", "core.corpus", "core.dictionaries"}
    unnamed |= {"core.queue", "core.recent", "core.worker"}
    assert told - set(TABLE) == set()
    assert set(TABLE) - told <= unnamed


def test_the_kernels_package_holds_a_docstring_only():
    """Transformers imports a package called `kernels` while it probes: it must find nothing."""
    assert only_docstring((ROOT / "kernels/__init__.py").read_text(encoding="utf-8"))
    assert not only_docstring('"""Kernels."""\nimport torch\n')


def only_docstring(source: str) -> bool:
    body = ast.parse(source).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)
