"""Neurons as tokens: brute force on every family, planted neurons, exact z, honest nulls."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from core import api
from core.engine import token_scores
from core.engine.neuron_rows import has_gate, neuron_rows
from core.engine.readout import centres, norm_weight
from core.engine.token_scores import moments, vocabulary
from core.models.build import build
from core.models.library import open_model
from core.models.loaded import Loaded
from core.models.tokens import known_ids
from core.results.neuron_classes import CLASSES
from core.spec.errors import Error
from core.spec.request import ModelRef
from tests.core.copies import writable
from tests.families.recipes import FAMILIES as RECIPES

NAMES = [n for n in RECIPES if n not in ("distilbert", "mixtral", "bert", "roberta")]
Model = Callable[[str], Loaded]


@pytest.fixture(scope="module")
def model(tiny: Callable[[str], Path]) -> Model:
    @cache
    def load(name: str) -> Loaded:
        ref = ModelRef(str(tiny(name)))
        return build(open_model(ref, device="cpu"), ref)

    return load


def dense(loaded: Loaded, rows: Tensor) -> Tensor:
    """Scores [neuron, known token] in float64 from the model's own modules, written out."""
    norm = loaded.stacks[""].norm
    rows = rows.double()
    if norm is not None:
        if centres(norm):
            rows = rows - rows.mean(dim=1, keepdim=True)
        rows = rows * norm_weight(loaded, norm).double()
    unembedding = loaded.module.get_output_embeddings().weight.detach().double()
    return (rows @ unembedding.T)[:, : known_ids(loaded)]


@pytest.mark.parametrize("name", NAMES)
def test_top_and_bottom_tokens_equal_brute_force_for_every_weight(name: str, model: Model) -> None:
    loaded = model(name)
    for weight in ("out", "in", "gate") if has_gate(loaded) else ("out", "in"):
        result = api.run("neuron_tokens", loaded, layer=1, weight=weight, k=5)
        scores = dense(loaded, neuron_rows(loaded, 1, weight))
        top, bottom = scores.topk(5), (-scores).topk(5)
        np.testing.assert_array_equal(result.top_ids, top.indices)
        np.testing.assert_array_equal(result.bottom_ids, bottom.indices)
        np.testing.assert_allclose(result.top_logits, top.values, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(result.bottom_logits, -bottom.values, rtol=1e-4, atol=1e-5)
        z = (scores - scores.mean(1, keepdim=True)) / scores.std(1, correction=0, keepdim=True)
        np.testing.assert_allclose(result.top_z, z.amax(1), rtol=1e-4)
        np.testing.assert_allclose(result.bottom_z, z.amin(1), rtol=1e-4)
        two = (z if abs(z[0].max()) >= abs(z[0].min()) else -z)[0].topk(2).values
        assert result.margin[0] == pytest.approx(float(two[0] - two[1]), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2", "olmo2"])
def test_a_neuron_that_writes_a_token_is_read_as_that_token(name: str, model: Model) -> None:
    # The published test: gamma^-1 x (W_U[t] - mean), which a final norm turns into W_U[t] - mean.
    m, token = writable(model(name)), 77
    unembedding = m.module.get_output_embeddings().weight.detach()
    final = m.stacks[""].norm
    assert final is not None
    column = (unembedding[token] - unembedding.mean(0)) / norm_weight(m, final)
    block = m.stacks[""].blocks[2]
    if block.post_mlp is not None:
        column = column / norm_weight(m, block.post_mlp)
    weight = block.neurons.weight
    with torch.no_grad():
        (weight.T if isinstance(block.neurons, torch.nn.Linear) else weight)[9] = column
    result = api.run("neuron_tokens", m, layer=2)
    assert result.top_ids[9, 0] == token
    assert result.top_z[9] == result.top_z.max()
    assert result.margin[9] > 1
    mapped = api.run("neuron_map", m)
    assert mapped.top_id[2, 9] == token
    found = api.run("neuron_search", m, query=f"/^{escaped(m, token)}$/", k=1)
    assert found.sites() == ("L2.neuron[9]",)
    card = api.run("neuron_card", m, layer=2, neuron=9)
    assert card.top_ids[0, 0] == token


def escaped(m: Loaded, token: int) -> str:
    from core.models.tokens import pieces

    return "".join(f"\\x{{{ord(sign):x}}}" for sign in pieces(m, [token])[0])


def test_the_neurons_of_stories260k_have_their_measured_tokens(stories: Loaded) -> None:
    result = api.run("neuron_tokens", stories, layer=4)
    assert result.read(result.top_ids[5, :6]) == (" nam", " lo", " want", " he", " saw", "on")
    assert result.top_z[5] == pytest.approx(5.5, abs=0.05)
    assert {"“", "an", "is", "”"} <= set(result.read(result.top_ids[40]))


def test_the_tokens_do_not_depend_on_how_many_neurons_are_read_at_once(
    stories: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = api.run("neuron_tokens", stories, layer=2, probability=True)
    m = writable(stories)
    monkeypatch.setattr(token_scores, "STEP_CPU", 7.0 * 512 * 64)
    monkeypatch.setattr(token_scores, "TILE", 5 * 512)
    parts = api.run("neuron_tokens", m, layer=2, probability=True)
    for name, array in whole.arrays().items():
        np.testing.assert_allclose(parts.arrays()[name], array, rtol=1e-3, atol=1e-5, err_msg=name)


def test_probability_and_kurtosis_are_those_of_all_scores(stories: Loaded) -> None:
    result = api.run("neuron_tokens", stories, layer=3, probability=True)
    scores = dense(stories, neuron_rows(stories, 3, "out"))
    np.testing.assert_allclose(result.top_probability, scores.softmax(1).amax(1), rtol=1e-4)
    np.testing.assert_allclose(result.bottom_probability, (-scores).softmax(1).amax(1), rtol=1e-4)
    from scipy.stats import kurtosis

    np.testing.assert_allclose(result.kurtosis, kurtosis(scores, axis=1), rtol=1e-2, atol=1e-2)
    assert api.run("neuron_tokens", stories, layer=3).kurtosis.size == 0


def test_moments_over_the_vocabulary_are_exact(stories: Loaded) -> None:
    words = vocabulary(stories)
    rows = torch.randn(30, 64, generator=torch.Generator().manual_seed(0))
    scores = (rows.double() @ words.rows.double().T).float()
    mean, deviation = moments(words, rows)
    torch.testing.assert_close(mean, scores.mean(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(deviation, scores.std(1, correction=0), rtol=1e-4, atol=1e-6)


def test_one_percent_of_random_neurons_pass_for_decodable(stories: Loaded) -> None:
    m = writable(stories)
    with torch.no_grad():
        for block in m.stacks[""].blocks:
            block.neurons.weight.normal_(generator=torch.Generator().manual_seed(3))
    result = api.run("neuron_map", m)
    assert 0 <= result.decodable_share.mean() < 0.03
    assert api.run("neuron_map", stories).decodable_share.mean() > 0.01


def test_hub_tokens_are_those_that_come_first_too_often(stories: Loaded) -> None:
    m, token = writable(stories), 300
    matrix = vocabulary(m).matrix
    with torch.no_grad():
        m.stacks[""].blocks[1].neurons.weight[:, :40] = (matrix[token] - matrix.mean(0))[:, None]
    result = api.run("neuron_tokens", m, layer=1)
    assert result.hub_ids[0] == token
    assert result.hub_share[0] >= 40 / (2 * 172)
    firsts = np.concatenate([result.top_ids[:, 0], result.bottom_ids[:, 0]])
    assert result.hub_share[0] == pytest.approx((firsts == token).mean())
    relative = api.run("neuron_tokens", m, layer=1, relative=True)
    rows = neuron_rows(m, 1, "out")
    scores = dense(m, rows - rows.mean(0))
    np.testing.assert_array_equal(relative.top_ids[:, 0], scores.argmax(1))


def test_reading_rows_can_be_read_against_the_input_embedding(model: Model) -> None:
    for name in ("llama", "bert", "t5_gated"):
        loaded = model(name)
        stack = "enc" if name == "t5_gated" else ""
        result = api.run(
            "neuron_tokens", loaded, layer=0, weight="in", against="embedding", stack=stack, k=3
        )
        embedding = loaded.module.get_input_embeddings().weight.detach()[: known_ids(loaded)]
        scores = neuron_rows(loaded, 0, "in", stack) @ embedding.T
        np.testing.assert_array_equal(result.top_ids, scores.topk(3).indices)


def test_what_cannot_be_read_is_refused_with_a_sentence(model: Model) -> None:
    for name, options, sentence in (
        ("llama", {"k": 362}, r"k is 362, but llama has \d+ tokens; take a whole number from 1"),
        ("llama", {"k": 0}, "take a whole number from 1"),
        ("llama", {"weight": "up"}, "use out, in, gate"),
        ("llama", {"layer": 7}, "has layers 0 to 2"),
        ("llama", {"against": "dictionary"}, "use unembedding or embedding"),
        ("gpt2", {"weight": "gate"}, "gpt2 has no gate"),
        ("mixtral", {}, "experts of mixtral"),
        ("bert", {}, "no plain unembedding"),
        ("t5", {"stack": "enc"}, "use against='embedding'"),
    ):
        with pytest.raises(Error, match=sentence):
            api.run("neuron_tokens", model(name), **{"layer": 0, **options})


def test_the_map_is_every_layers_tokens(stories: Loaded) -> None:
    result = api.run("neuron_map", stories)
    for layer in range(5):
        one = api.run("neuron_tokens", stories, layer=layer, k=1)
        np.testing.assert_array_equal(result.top_id[layer], one.top_ids[:, 0])
        np.testing.assert_array_equal(result.bottom_id[layer], one.bottom_ids[:, 0])
        np.testing.assert_allclose(result.top_z[layer], one.top_z, rtol=1e-5)
        assert result.null_z[layer] == pytest.approx(one.null_z)
        assert result.decodable_share[layer] == pytest.approx(one.decodable.mean())
    write = stories.stacks[""].blocks[3].neurons.weight.detach().norm(dim=0)
    np.testing.assert_allclose(result.write_norm[3], write, rtol=1e-5)
    classes = api.run("neuron_classes", stories)
    np.testing.assert_array_equal(result.code, classes.code)
    np.testing.assert_array_equal(result.linout, classes.linout)
    assert len(result.to_frame()) == 5 * 172


@pytest.mark.parametrize("name", NAMES)
def test_the_card_says_of_one_neuron_what_the_layer_says_of_it(name: str, model: Model) -> None:
    loaded = model(name)
    card = api.run("neuron_card", loaded, layer=1, neuron=11, k=4)
    classes = api.run("neuron_classes", loaded)
    for row, weight in enumerate(card.weights):
        layer = api.run("neuron_tokens", loaded, layer=1, weight=weight, k=4, probability=True)
        np.testing.assert_array_equal(card.top_ids[row], layer.top_ids[11])
        np.testing.assert_array_equal(card.bottom_ids[row], layer.bottom_ids[11])
        assert card.top_z[row, 0] == pytest.approx(layer.top_z[11], rel=1e-4)
        assert card.null_z[row] == pytest.approx(layer.null_z)
        assert card.top_probability[row] == pytest.approx(layer.top_probability[11], rel=1e-4)
        own = neuron_rows(loaded, 1, weight)[11]
        token = vocabulary(loaded).matrix[card.top_ids[row, 0]]
        cosine = float(torch.cosine_similarity(own, token, dim=0))
        assert card.top_cosine[row, 0] == pytest.approx(cosine, abs=1e-5)
    assert card.class_name == CLASSES[classes.code[1, 11]]
    np.testing.assert_array_equal(card.cosines[0], classes.linout[1, 11])
    np.testing.assert_array_equal(card.band, classes.band[1])


def test_the_nearest_neurons_are_a_copy_and_an_opposite_of_it(stories: Loaded) -> None:
    m = writable(stories)
    with torch.no_grad():
        own = m.stacks[""].blocks[4].neurons.weight[:, 5]
        m.stacks[""].blocks[1].neurons.weight[:, 30] = 3 * own
        m.stacks[""].blocks[0].neurons.weight[:, 8] = -own
    card = api.run("neuron_card", m, layer=4, neuron=5)
    found = {
        (int(layer), int(unit)): float(cosine)
        for layer, unit, cosine in zip(
            card.near_layer, card.near_neuron, card.near_cosine, strict=True
        )
    }
    assert found[1, 30] == pytest.approx(1, abs=1e-5)
    assert found[0, 8] == pytest.approx(-1, abs=1e-5)
    assert len(found) == 8
    assert (4, 5) not in found
    # Both are read as this neuron is, the opposite turned round.
    np.testing.assert_array_equal(card.near_ids[0], card.top_ids[0, :3])
    np.testing.assert_array_equal(card.near_ids[1], card.top_ids[0, :3])
    assert 0.3 < card.chance_cosine < 0.8
    lengths = m.stacks[""].blocks[4].neurons.weight.detach().norm(dim=0)
    assert card.write_percentile == pytest.approx(float((lengths < lengths[5]).float().mean()))


def test_a_card_of_a_neuron_that_is_not_there_is_refused(stories: Loaded) -> None:
    for neuron, sentence in ((172, "0 to 171"), (-1, "whole number"), (True, "whole number")):
        with pytest.raises(Error, match=sentence):
            api.run("neuron_card", stories, layer=0, neuron=neuron)


@pytest.mark.parametrize("name", [n for n in RECIPES if n != "distilbert"])
def test_every_family_answers_or_says_why_not(name: str, model: Model) -> None:
    loaded = model(name)
    questions: list[tuple[str, dict]] = [
        ("neuron_map", {}),
        ("neuron_search", {"query": "the", "k": 3}),
        ("neuron_search", {"query": "/t/", "weight": "in", "against": "embedding"}),
        ("neuron_card", {"layer": 1, "neuron": 0, "against": "embedding"}),
        ("neuron_match", {"other": loaded, "weight": "all", "against": "embedding"}),
        ("neuron_classes", {}),
    ]
    for question, options in questions:
        refusal = ""
        if (
            name in ("bert", "roberta")
            and question != "neuron_classes"
            and "against" not in options
        ):
            refusal = "no plain unembedding"
        if name == "mixtral":
            refusal = "experts"
        if refusal:
            with pytest.raises(Error, match=refusal):
                api.run(question, loaded, **options)
            continue
        result = api.run(question, loaded, **options)
        numbers = [array for array in result.arrays().values() if array.dtype.kind == "f"]
        assert not any(np.isinf(array).any() for array in numbers)
        assert len(result.to_frame()) > 0
