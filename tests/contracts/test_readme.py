"""The README's Python lines run as they stand."""

import re
from typing import Any

import numpy as np

from tests.contracts.sources import ROOT


def python_of(text: str) -> str:
    """The Python blocks of a document, one after the other."""
    return "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))


def test_the_notebook_example_runs_on_the_embedded_model():
    found: dict[str, Any] = {}
    exec(python_of((ROOT / "README.md").read_text(encoding="utf-8")), found)  # noqa: S102
    arrays = found["result"].arrays()
    assert len(found["result"].tokens) == arrays["top_ids"].shape[1]
    assert np.isfinite(arrays["entropy"]).all()
    assert python_of("a\n```python\nx = 1\n```\nb") == "x = 1\n"
