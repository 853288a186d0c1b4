"""States of many texts in padded batches are those of each text alone, in every family."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.analyses import states as module
from core.analyses.runs import Silent
from core.analyses.states import encoded, reference_norm, states, stream_sites
from core.engine.forward import run
from core.engine.rows import rows
from core.models.build import build
from core.models.library import open_model
from core.models.loaded import Loaded
from core.models.tokens import special
from core.spec.errors import Error
from core.spec.interventions import Ablate
from core.spec.request import ModelRef
from core.spec.site import Site
from tests.families.recipes import FAMILIES as RECIPES

NAMES = [name for name in RECIPES if name != "distilbert"]
TEXTS = ("the cat", "the cat sat on the mat", "cat", "a dog sat on it")


def alone(loaded: Loaded, ids: list[int], change=()) -> torch.Tensor:
    """[layer, token, d_model] of one text, special tokens left out."""
    places = stream_sites(loaded)
    seen = run(loaded, rows(loaded, [ids]), read=places, change=[change], logits="none").values
    plain = [i for i, marked in enumerate(special(loaded, ids)) if not marked]
    return torch.stack([seen[place][0, plain] for place in places])


@pytest.mark.parametrize("name", NAMES)
def test_a_padded_batch_gives_every_text_its_own_states(
    name: str, tiny: Callable[[str], Path]
) -> None:
    ref = ModelRef(str(tiny(name)))
    loaded = build(open_model(ref, device="cpu"), ref)
    ids = encoded(loaded, TEXTS)
    found = states(loaded, Silent(), ids, positions=("last", "mean", "-2"))
    for number, text in enumerate(ids):
        own = alone(loaded, text)
        back = max(0, own.shape[1] - 2)
        for row, wanted in enumerate((own[:, -1], own.mean(1), own[:, back])):
            torch.testing.assert_close(found.vectors[row, :, number], wanted, atol=2e-4, rtol=1e-4)
    sizes = torch.cat([alone(loaded, text) for text in ids], dim=1).norm(dim=-1)
    torch.testing.assert_close(found.norm, sizes.mean(1), atol=1e-3, rtol=1e-4)
    assert found.n_tokens == sizes.shape[1]


def test_the_embedding_and_a_chosen_token_are_those_of_the_text_alone(stories: Loaded) -> None:
    ids = encoded(stories, TEXTS)
    chosen = [len(text) // 2 for text in ids]
    found = states(stories, Silent(), ids, positions=("last", chosen), embedding=True).vectors
    plain = states(stories, Silent(), ids).vectors
    torch.testing.assert_close(found[:1, 1:], plain)
    places = [Site(0, "resid_pre"), *stream_sites(stories)]
    for number, text in enumerate(ids):
        seen = run(stories, rows(stories, [text]), read=places, logits="none").values
        wanted = torch.stack([seen[place][0, chosen[number]] for place in places])
        torch.testing.assert_close(found[1, :, number], wanted, atol=2e-4, rtol=1e-4)


def test_small_batches_and_one_large_batch_agree(stories: Loaded, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    ids = encoded(stories, TEXTS)
    whole = states(stories, Silent(), ids).vectors
    monkeypatch.setattr(module, "STATES_AT_ONCE", 1)
    torch.testing.assert_close(states(stories, Silent(), ids).vectors, whole, atol=1e-4, rtol=1e-4)


def test_changes_are_in_force_for_every_text(stories: Loaded) -> None:
    ids = encoded(stories, TEXTS)
    change = [Ablate(Site(1, "mlp_out"))]
    found = states(stories, Silent(), ids, change=change).vectors[0]
    for number, text in enumerate(ids):
        torch.testing.assert_close(
            found[:, number], alone(stories, text, change)[:, -1], atol=1e-4, rtol=1e-4
        )


def test_the_reference_norm_is_that_of_the_reference_text(stories: Loaded) -> None:
    norm, n_tokens = reference_norm(stories, Silent())
    assert norm.shape == (5,)
    assert n_tokens > 1_000
    assert (norm[1:] > norm[:-1]).all()


def test_a_text_that_cannot_be_read_is_named_by_its_number(stories: Loaded) -> None:
    with pytest.raises(Error, match="text 2 cannot be read: the text has"):
        encoded(stories, ["a", "b " * 4_000])
    with pytest.raises(Error, match="no position 'first'"):
        states(stories, Silent(), encoded(stories, ["a b"]), positions=("first",))
