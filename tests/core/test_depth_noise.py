"""Depth under noise: changed texts, rounded weights, a planted delay; the asked analysis."""

from importlib import import_module

import numpy as np
import pytest
import torch

from core import api
from core.analyses.depth_noise import depth_noise
from core.analyses.perturbed import CHANGES, perturbed
from core.analyses.runs import Silent
from core.figures.depth_noise import VIEWS
from core.figures.table import caption, figure, title
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.models.squeezed import rounded_to, squeezed
from core.spec.errors import Error
from core.spec.labelled import LabelledSet
from tests.core.depth_case import halves, lines, noise
from tests.families.recipes import FAMILIES

module = import_module("core.analyses.depth_noise")
SET = LabelledSet(
    "x", ("the old dog sleeps", "a small cat runs", "one red car stops", "my blue hat falls"),
    (1, 1, 0, 0), ("thing", "animal"), words=("dog", "cat", "car", "hat"), position="word",
)  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_texts_change_and_keep_their_word(name: str) -> None:
    found = perturbed(SET, name, 0)
    assert found == perturbed(SET, name, 0)
    assert found.labels == SET.labels
    for before, after, word in zip(SET.texts, found.texts, SET.words, strict=True):
        assert after != before
        assert word in after
    if name == "typos":
        assert all(
            sorted(a) == sorted(b) for a, b in zip(SET.texts, found.texts, strict=True)
        )  # letters change places, none is lost
    else:
        pairs = zip(SET.texts, found.texts, strict=True)
        assert all(after.endswith(before) for before, after in pairs)


def test_weights_are_rounded_by_row_to_the_nearest_step() -> None:
    weight = (
        torch.randn(6, 50, generator=torch.Generator().manual_seed(0))
        * torch.logspace(-2, 2, 6)[:, None]
    )
    for bits in (8, 4):
        found = rounded_to(weight, bits)
        step = weight.abs().amax(dim=1, keepdim=True) / (2 ** (bits - 1) - 1)
        assert ((found - weight).abs() <= step / 2 * 1.001).all()
        assert len(found[0].unique()) <= 2**bits - 1
        torch.testing.assert_close(rounded_to(found, bits), found)
    assert torch.equal(rounded_to(weight, 16), weight.bfloat16().float())
    assert torch.equal(rounded_to(torch.zeros(2, 3), 8), torch.zeros(2, 3))
    columns = rounded_to(weight.T.contiguous(), 8, across=0)
    torch.testing.assert_close(columns.T, rounded_to(weight, 8))


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "distilbert"])
def test_every_family_is_rounded_in_a_copy(family: str, tiny: object) -> None:
    model = api.load(tiny(family), device="cpu")  # type: ignore[operator]
    before = {name: value.clone() for name, value in model.module.named_parameters()}
    twin, why = squeezed(model, 4)
    assert twin is not None, why
    assert all(torch.equal(value, before[name]) for name, value in model.module.named_parameters())
    changed = [
        n for n, value in twin.module.named_parameters() if not torch.equal(value, before[n])
    ]
    assert changed
    assert all(before[name].ndim > 1 for name in changed)


def test_a_planted_delay_is_found_and_nothing_else(
    stories: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The class is written from layer 2 on; with letters in front from layer 3 on."""
    n, label = 160, halves(160)
    layers = stories.n_layers + 1

    def states(first: int) -> torch.Tensor:
        x = np.stack([noise(n, 12, seed) for seed in range(layers)])
        x[first:, :, 0] += 4 * (2 * label - 1)
        return torch.tensor(x, dtype=torch.float32)

    def instead(work: object, model: Loaded, one: object, share: object) -> torch.Tensor:
        del work, model, share
        return states(3 if one.given.texts[0].startswith(("aaa", "bbb")) else 2)  # type: ignore[attr-defined]

    monkeypatch.setattr(module._Work, "vectors", instead)
    found = depth_noise(
        stories, Silent(), texts=lines(n), labels=label.tolist(), changes=("letters", "8 bits")
    )
    assert found.conditions == ("clean", "other folds", "letters", "8 bits")
    assert found.shift[2, 0] == pytest.approx(1.0, abs=0.1)
    assert found.delayed(2)
    assert not found.delayed(3)
    assert not found.lowered(2)
    assert "later with letters in front" in title(found)
    assert found.kept_auc[2, 2] < 0.65
    assert found.kept_auc[2, 3] > 0.95


def test_typing_errors_lower_what_hangs_on_words_of_the_embedded_model() -> None:
    model = api.load("embedded", device="cpu")
    found = depth_noise(model, Silent(), labelled="animals", changes=("typos", "16 bits", "8 bits"))
    row = found.conditions.index("typos")
    assert found.lowered(row)
    assert found.readable
    assert "lower with typing errors" in title(found)
    assert abs(found.shift[found.conditions.index("8 bits"), 1]) < 0.02
    if "16 bits" not in found.conditions:  # they are stored in 16 bits
        assert any("have 16 bits" in note for note in found.notes)
    for view in VIEWS:
        for dark in (False, True):
            assert figure(found, Look(dark=dark), view=view).data
    assert "other folds" in caption(found)
    assert list(found.to_frame()["condition"]) == list(found.conditions)


def test_random_labels_are_not_readable_and_strange_changes_refused(stories: Loaded) -> None:
    found = api.run(
        "depth_noise", stories, texts=lines(80), labels=halves(80).tolist(), changes=("letters",)
    )
    assert "not readable" in title(found)
    assert not found.delayed(2)  # type: ignore[attr-defined]
    with pytest.raises(Error, match="no change 'rain'"):
        api.run("depth_noise", stories, texts=lines(8), labels=[0, 1] * 4, changes=("rain",))
    with pytest.raises(Error, match="no change ''"):
        api.run("depth_noise", stories, texts=lines(8), labels=[0, 1] * 4, changes=())
