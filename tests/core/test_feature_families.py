"""What one asks of features works for every family, or is refused in a sentence."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import api
from core.models.loaded import Loaded
from core.spec.errors import Error
from tests.core.feature_models import carrying, dictionary
from tests.families.recipes import FAMILIES

TEXTS = ("one two three four five", "a dog and a cat", "two cats saw one dog", "red, blue; green.")
CORPUS: dict[str, Any] = {
    "corpus": tuple(f"{t} {n}" for n in range(4) for t in TEXTS),
    "window": 24,
}
SIDES: dict[str, Any] = {"positive": TEXTS, "negative": ("w", "x y", "z z z", "v")}
ASKED: dict[str, dict[str, Any]] = {
    "feature_lens": {"feature": 3, "k": 4},
    "feature_neighbours": {"feature": 3, "k": 4, **CORPUS},
    "feature_texts": {"text": TEXTS[0], "feature": 3, "k": 4},
    "feature_concept": {**SIDES, "k": 3, "shuffles": 5},
    "feature_map": {"n_groups": 3},
    "feature_card": {"feature": 3, "n_top": 4, **CORPUS},
    "feature_fires": {"words": ["a", "dog"], "token": "all", "k": 3, **CORPUS},
}
# Families that differ in what features touch; the others run with -m slow.
OFTEN = ("bert", "gemma2", "gpt2", "mixtral", "mpt", "olmo2", "t5_gated")
REFUSED = ("distilbert",)  # at the door, by design
CASES = [
    pytest.param(name, marks=() if name in OFTEN else pytest.mark.slow)
    for name in sorted(FAMILIES)
    if name not in REFUSED
]
# Where the direct path from the stream to the tokens is no norm and matrix.
NO_LENS = "unembedding|speak through"


def with_dictionary(m: Loaded) -> Loaded:
    place = "enc.L1.resid_post" if m.prompt_stack else "L1.resid_post"
    return carrying(m, dictionary(m, place, n=32))


@pytest.mark.parametrize("family", CASES)
def test_every_question_is_answered_or_refused(tiny: Callable[[str], Path], family: str) -> None:
    m = with_dictionary(api.load(tiny(family), device="cpu"))
    refused = {}
    for name, options in ASKED.items():
        try:
            found = api.run(name, m, dictionary="made", **options)
        except Error as fault:
            refused[name] = str(fault)
            continue
        for array in found.arrays().values():
            if array.dtype.kind == "f" and array.size:
                assert not np.isinf(array).any(), name
        api.figure(found)
    assert set(refused) <= {"feature_lens"}, refused
    assert all(re.search(NO_LENS, sentence) for sentence in refused.values()), refused
