"""Probes and the lens over many prompts in every kind of model, or a sentence why not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core import api
from core.spec.errors import Error
from tests.families.recipes import FAMILIES

TEXTS = [f"{a} {b}" for a in ("one", "two", "six", "ten") for b in ("dog", "cat", "dogs", "cats")]
# No row of the table fits distilbert, so it is refused when it is loaded.
NAMES = sorted({*[name for name in FAMILIES if name != "distilbert"][::4], "bert", "t5"})
ASKED = {"texts": TEXTS, "labels": [0, 0, 1, 1] * 4, "folds": 2}


@pytest.mark.parametrize("family", NAMES)
def test_a_family_is_probed_and_read_or_says_why_not(
    family: str, tiny: Callable[[str], Path]
) -> None:
    m = api.load(tiny(family), device="cpu")
    result = api.run("probe_family", m, **ASKED)
    assert result.auc.shape == (4, len(result.sites))
    assert np.isfinite(result.direction).all()
    site = result.sites[-1]
    assert api.trace(m, "one dog", [site])[site].shape[-1] == result.direction.shape[-1]
    if m.kind != "decoder":
        with pytest.raises(Error, match="no next token"):
            api.run("lens_depth", m, texts=TEXTS)
        return
    lens = api.run("lens_depth", m, texts=TEXTS, tracked=[("animals", ["dog", "cat"])])
    assert (lens.agrees[-1] == 1).all()
    np.testing.assert_allclose(lens.kl[-1], 0, atol=1e-4)
