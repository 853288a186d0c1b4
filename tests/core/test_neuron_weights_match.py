"""Two models neuron by neuron: exactly what was changed is found; a second model in a question."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core import analyses, api
from core.analyses.runs import Silent
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.request import ModelRef, ask
from tests.core.copies import writable
from tests.tiny import make

CHANGED = {(0, 3), (1, 40), (2, 7), (2, 8)}


@pytest.fixture(scope="module")
def altered(tiny: Callable[[str], Path]) -> tuple[Loaded, Loaded]:
    """A model, and a copy in which the neurons of CHANGED read something else."""
    m = api.load(tiny("llama"), device="cpu")
    other = replace(writable(m), name="altered")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for layer, neuron in CHANGED:
            weight = other.stacks[""].blocks[layer].up.weight
            weight[neuron] = 0.25 * torch.randn(weight.shape[1], generator=generator)
    return m, other


def test_exactly_the_changed_neurons_are_found(altered: tuple[Loaded, Loaded]) -> None:
    m, other = altered
    result = api.run("neuron_match", m, other=other, weight="all")
    row = result.weights.index("in")
    found = {(int(layer), int(unit)) for layer, unit in np.argwhere(result.distance[row] > 1e-6)}
    assert found == CHANGED
    others = [r for r in range(3) if r != row]
    assert (result.distance[others] == 0).all()
    np.testing.assert_allclose(result.cosine[others], 1, rtol=1e-5)
    assert (result.same_share[others] == 1).all()
    listed = [
        (result.weights[w], int(layer), int(unit))
        for w, layer, unit in zip(
            result.changed_weight, result.changed_layer, result.changed_neuron, strict=True
        )
    ]
    assert set(listed[:4]) == {("in", *place) for place in CHANGED}
    for place, ids in zip(listed[:4], result.changed_ids[:4], strict=True):
        for model, row_of in ((m, ids[0]), (other, ids[1])):
            tokens = api.run("neuron_tokens", model, layer=place[1], weight="in")
            np.testing.assert_array_equal(row_of, tokens.top_ids[place[2]])


def test_shares_are_means_over_the_neurons_and_chance_is_the_next_neuron(
    altered: tuple[Loaded, Loaded],
) -> None:
    m, other = altered
    result = api.run("neuron_match", m, other=other, weight="in", k=6)
    one, two = (
        api.run("neuron_tokens", each, layer=2, weight="in", k=6).top_ids for each in (m, other)
    )
    assert result.same_share[0, 2] == pytest.approx((one[:, 0] == two[:, 0]).mean())
    next_one = np.roll(two, -1, axis=0)
    assert result.control_same_share[0, 2] == pytest.approx((one[:, 0] == next_one[:, 0]).mean())
    jaccard = [len({*a} & {*b}) / len({*a} | {*b}) for a, b in zip(one, two, strict=True)]
    np.testing.assert_allclose(result.jaccard[0, 2], jaccard, rtol=1e-6)
    assert result.mean_jaccard[0, 2] == pytest.approx(np.mean(jaccard))
    assert result.mean_cosine[0, 2] > 0.9 > abs(result.control_mean_cosine[0, 2]) + 0.5


def test_a_tuned_model_shares_three_quarters_of_its_neurons_with_its_base() -> None:
    # Published for Llama-3.1-8B and its instruct model: 75.4 % of the `in` vectors.
    m = api.load("embedded", device="cpu")
    result = api.run("neuron_match", m, other="embedded-tuned")
    assert 0.6 < result.same_share.mean() < 0.9
    assert result.control_same_share.max() < 0.05
    assert result.mean_cosine.min() > 0.95
    assert result.models == ("embedded", "embedded-tuned")
    assert dict(result.request["options"])["other"] == ("embedded-tuned", "", "")
    assert len(result.to_frame()) == 50


def test_models_of_other_sizes_and_vocabularies_are_refused(
    tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    m = api.load(tiny("llama"), device="cpu")
    deep = make("llama", tmp_path / "deep", num_hidden_layers=2)
    wide = make("llama", tmp_path / "wide", intermediate_size=60)
    with pytest.raises(Error, match="has 3 layers and deep 2"):
        api.run("neuron_match", m, other=str(deep))
    with pytest.raises(Error, match="56 neurons in a layer and wide 60"):
        api.run("neuron_match", m, other=str(wide))
    strange = make("smollm3", tmp_path / "strange")  # 304 ids of another tokenizer
    with pytest.raises(Error, match="different vocabularies"):
        api.run("neuron_match", m, other=str(strange))
    with pytest.raises(Error, match="at most 100 tokens"):
        api.run("neuron_match", m, other=m, k=101)
    with pytest.raises(Error, match="not the name of a model"):
        api.run("neuron_match", m, other=3)
    with pytest.raises(Error, match="neuron_match needs other="):
        api.run("neuron_match", m)


def test_a_question_names_its_second_model_and_depends_on_its_weights(
    tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    one, two, three = tiny("llama"), make("llama", tmp_path / "two"), tiny("mistral")
    request = ask("neuron_match", ModelRef(str(one)), other=str(two))
    assert [ref.name for ref in request.models] == [str(one), str(two)]
    result = analyses.answer(request, Silent())
    assert (result.arrays()["same_share"] == 1).all()
    salts = [
        analyses.salt(ask("neuron_match", ModelRef(str(one)), other=str(other)))
        for other in (two, three)
    ]
    assert salts[0] != salts[1]
    assert analyses.salt(request) == salts[0]


def test_plain_questions_name_one_model() -> None:
    assert ask("lens", ModelRef("embedded"), "text").models == (ModelRef("embedded"),)
    full = ask("neuron_match", ModelRef("a"), other=["b", "main", "bfloat16"])
    assert full.models[1] == ModelRef("b", "main", "bfloat16")
    with pytest.raises(Error, match="not the name of a model"):
        _ = ask("neuron_match", ModelRef("a"), other=["b", 3]).models
