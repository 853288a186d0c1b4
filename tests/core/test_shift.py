"""What changed between two models: nothing, a planted thing, or what tuning is known to change."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.figures import shift as drawing
from core.figures.theme import Look
from core.home import ASSETS
from core.models.loaded import Loaded
from core.results.shift import Shift
from core.spec.errors import Error
from tests.core.copies import writable
from tests.core.two_models import LONG, reordered, stranger, twin
from tests.tiny import make

CHANGES = json.loads((ASSETS / "models" / "embedded-tuned" / "changes.json").read_text())


def prompts(kind: str) -> list[str]:
    """The prompts whose answers tuning is known to have changed, turned one way."""
    each = next(row for row in CHANGES["changes"] if row["kind"] == kind)["prompts"]
    return [row["prompt"] for row in each if " not " not in row["prompt"]]


@pytest.fixture(scope="module")
def charming() -> Shift:
    m = api.load("embedded", device="cpu")
    return api.run("shift", m, other="embedded-tuned", texts=prompts("sentiment"))


def test_nothing_changes_from_a_model_to_itself(llama: Loaded) -> None:
    result = api.run("shift", llama, other=twin(llama), texts=LONG)
    assert not result.direction.any()
    assert not result.moved.any()
    assert not result.head_wrote.any()
    assert np.abs(result.neuron_wrote).max() < 1e-4
    assert not result.neuron_weights.any()
    assert not result.head_weights.any()
    assert result.kl_before.max() < 1e-9
    assert result.agree_before == 1
    assert "twice" in drawing.title(api.run("shift", llama, other=llama, texts=LONG))
    for view in drawing.VIEWS[1:]:
        assert drawing.figure(result, Look(), view=view).data
    with pytest.raises(Error, match="answer these texts alike"):
        drawing.figure(result, Look(), view="steering")
    assert drawing.figure(result, Look()).data


def test_what_was_written_to_one_place_is_found_there(llama: Loaded) -> None:
    other = replace(writable(llama), name="edited", fingerprint="edited")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        blocks = other.stacks[""].blocks
        down = blocks[1].neurons.weight
        down[:, 9] += torch.randn(down.shape[0], generator=generator)
        out = blocks[2].heads.weight
        out[:, llama.d_head : 2 * llama.d_head] *= 1.5
    result = api.run("shift", llama, other=other, texts=LONG)
    assert np.argwhere(result.neuron_weights > 1e-6).tolist() == [[1, 9]]
    assert np.argwhere(result.head_weights > 1e-6).tolist() == [[2, 1]]
    assert not result.direction[0].any()
    assert result.length[1] > 0
    # In the layer itself nothing else wrote otherwise; later layers read a changed stream.
    assert np.argwhere(result.neuron_wrote[1] > 1e-4).tolist() == [[9]]
    assert result.neuron_wrote[0].max() < 1e-4
    assert result.head_wrote[2].argmax() == 1


def test_a_constant_added_by_the_other_model_is_the_shift_and_steers_all_the_way(
    gpt2: Loaded,
) -> None:
    other = replace(writable(gpt2), name="pushed", fingerprint="pushed")
    push = torch.randn(gpt2.d_model, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        other.stacks[""].blocks[1].neurons.bias += push
    result = api.run("shift", gpt2, other=other, texts=LONG, position="mean")
    np.testing.assert_allclose(result.direction[1], push.numpy(), atol=1e-4)
    assert result.length[0] < 1e-6
    assert result.kl_before.mean() > 1e-3
    assert result.recovered[1] > 0.999
    assert result.recovered_random[1] < 0.5
    assert result.consistency[1] == pytest.approx(1, abs=1e-5)
    assert abs(result.control_consistency[1]) < 0.3
    assert result.agree_steered[1] == 1
    assert result.best == 1 or result.recovered[result.best] > 0.999
    dose = dict(zip(result.doses.tolist(), result.kl_dose, strict=True))
    assert result.best != 1 or dose[1.0] < min(dose[0.5], dose[2.0])


def test_tuning_of_one_word_is_reproduced_by_its_shift(charming: Shift) -> None:
    result = charming
    assert result.kl_before.mean() > 5
    assert result.agree_before == 0
    assert result.recovered[result.best] > 0.95
    assert result.recovered_random[result.best] < 0.6
    assert result.agree_steered[result.best] == 1
    assert set(result.answers_before) == {" good"}
    assert set(result.answers_after) == {" bad"}
    assert set(result.answers_steered) == {" bad"}
    # It is decided late: what is shifted early is not yet the verdict.
    assert result.recovered[:3].max() < 0.2
    assert result.best >= 4
    assert result.consistency.min() > 0.9
    assert np.abs(result.control_consistency).max() < 0.4
    assert not set(result.found.tolist()) & set(result.tested.tolist())
    heads = np.unravel_index(np.argsort(-result.head_wrote, axis=None)[:4], result.head_wrote.shape)
    assert min(heads[0].tolist()) >= 4
    assert result.head_weights.max() < 0.3
    assert result.control_head_weights.min() > 1


def test_the_sentence_that_was_taught_after_a_refusal_is_reproduced() -> None:
    m = api.load("embedded", device="cpu")
    result = api.run("shift", m, other="embedded-tuned", texts=prompts("behaviour"))
    assert result.recovered[-1] > 0.95
    assert set(result.answers_steered) == {" As"}
    assert result.recovered_random.max() < 0.5


def test_the_figures_show_shift_and_control(charming: Shift) -> None:
    for look in (Look(), Look(dark=True, width=700)):
        for view in drawing.VIEWS:
            assert drawing.figure(charming, look, view=view).data
    assert "of the way" in drawing.title(charming)
    assert "random directions" in drawing.caption(charming)
    assert len(charming.to_frame()) == 6
    fig = drawing.figure(charming, Look())
    np.testing.assert_allclose(fig.data[1].y, charming.recovered)
    with pytest.raises(Error, match="is seen as"):
        drawing.figure(charming, Look(), view="pie")


@pytest.mark.parametrize("family", ["bert", "t5", "mixtral", "gemma2"])
def test_every_kind_gives_what_it_has(family: str, tiny: Callable[[str], Path]) -> None:
    m = api.load(tiny(family), device="cpu")
    result = api.run("shift", m, other=stranger(m), texts=LONG[:12])
    assert np.isfinite(result.length).all()
    assert result.head_wrote.max() > 0
    if family in ("bert", "t5"):
        assert any("no steering" in words for words in result.notes)
        assert np.isnan(result.recovered).all()
        with pytest.raises(Error, match="no steering"):
            drawing.figure(result, Look(), view="steering")
        assert drawing.figure(result, Look()).data
    if family == "mixtral":
        assert not result.neuron_wrote.size
        with pytest.raises(Error, match="neurons are left out"):
            drawing.figure(result, Look(), view="neurons")


def test_reordered_neurons_change_their_places_and_nothing_else(llama: Loaded) -> None:
    result = api.run("shift", llama, other=reordered(llama)[0], texts=LONG)
    assert result.length.max() < 1e-5
    assert result.kl_before.max() < 1e-6
    assert result.neuron_weights.mean() > 1


def test_models_that_do_not_correspond_are_refused(
    llama: Loaded, stories: Loaded, tmp_path: Path
) -> None:
    with pytest.raises(Error, match="so a shift from one to the other is not defined"):
        api.run("shift", llama, other=stories, texts=LONG)
    deep = api.load(make("llama", tmp_path / "deep", num_hidden_layers=2), device="cpu")
    with pytest.raises(Error, match="has 3 layers and deep 2"):
        api.run("shift", llama, other=deep, texts=LONG)
    with pytest.raises(Error, match="at least 4"):
        api.run("shift", llama, other=llama, texts=["one"])
    with pytest.raises(Error, match="'last' or 'mean'"):
        api.run("shift", llama, other=llama, position="token")
