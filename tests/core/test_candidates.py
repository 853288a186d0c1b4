"""Rows that are tried, dropped and doubled on one cache say what whole runs on their texts say."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core import api
from core.analyses.pushed_contexts import behind_norm, last_site
from core.analyses.runs import Silent
from core.analyses.whitening import unembedding
from core.engine.candidates import Candidates
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.models.tokens import encode
from core.spec.errors import Error
from tests.families.recipes import FAMILIES


def whole(m: Loaded, texts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """States behind the final norm and logits at the ends, without a cache."""
    site = last_site(m)
    seen = run(m, rows(m, texts), read=[site], logits="last")
    assert seen.logits is not None
    states = torch.from_numpy(behind_norm(m, seen.values[site][:, -1].float())).float()
    return states, seen.logits[:, -1].float()


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"distilbert"})[::2])
def test_candidates_are_the_runs_on_their_whole_texts(
    family: str, tiny: Callable[[str], Path]
) -> None:
    m = api.load(tiny(family), device="cpu")
    try:
        unembedding(m)
    except Error:
        return  # guided decoding refuses these: no plain unembedding
    prompt = encode(m, "The red cat and the")
    tried = Candidates(m, rows(m, [prompt]), Silent().check)
    states, logits = whole(m, [prompt])
    assert torch.allclose(tried.prompt_states[-1], states[0], atol=1e-4)
    assert torch.allclose(tried.prompt_logits, logits[0], atol=1e-3)
    texts = [[*prompt, 40], [*prompt, 50], [*prompt, 60]]
    seen = tried.feed([0, 0, 0], [40, 50, 60])
    for found, expected in zip(seen, whole(m, texts), strict=True):
        assert torch.allclose(found, expected, atol=1e-3)
    # The middle one is dropped, the last one doubled.
    chosen = [[*texts[2], 41], [*texts[0], 42], [*texts[2], 43]]
    seen = tried.feed([2, 0, 2], [41, 42, 43])
    for found, expected in zip(seen, whole(m, chosen), strict=True):
        assert torch.allclose(found, expected, atol=1e-3)


def test_no_hook_is_left_behind(tiny: Callable[[str], Path]) -> None:
    m = api.load(tiny("llama"), device="cpu")
    tried = Candidates(m, rows(m, [encode(m, "a cat")]), Silent().check)
    with pytest.raises((IndexError, RuntimeError)):
        tried.feed([0], [10**6])
    assert m.head is not None
    assert not m.head._forward_pre_hooks
