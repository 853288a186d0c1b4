"""One text: direct effects are parts of a sum, and what is shown is what the trace shows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core import api
from core.analyses.neuron_activity import N_RANDOM
from core.engine.frozen import logit_scale, norm_scale
from core.engine.readout import reading_matrix
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.results.neuron_activity import NeuronActivity
from core.spec.errors import Error

TEXT = "the cat sat on the mat"


def active(m: Loaded, **options: Any) -> NeuronActivity:
    result = api.run("neuron_activity", m, **{"text": TEXT, **options})
    assert isinstance(result, NeuronActivity)
    return result


DIRECT = (
    *(
        "llama",
        "gpt2",
        "gpt_neox",
        "gptj",
        "opt",
        "bloom",
        "mpt",
        "falcon",
        "gemma2",
        "gemma3_text",
    ),
    *("olmo2", "granite", "cohere", "phi", "phi3", "glm4"),
)


@pytest.mark.parametrize("family", DIRECT)
def test_direct_effects_of_a_layer_add_up_to_what_its_mlp_says(
    tiny: Callable[[str], Path], family: str
) -> None:
    m = api.load(tiny(family), device="cpu")
    result = active(m, position=4)
    last = f"L{m.n_layers - 1}.resid_post"
    sites = [last, *(f"L{layer}.mlp_out" for layer in range(m.n_layers))]
    seen = {site: torch.tensor(value[4]) for site, value in api.trace(m, TEXT, sites).items()}
    logits = api.logits(m, TEXT)[4]
    answer = int(logits[: len(m.tokenizer)].argmax())
    assert result.answer == pieces(m, [answer])[0]
    with torch.no_grad():
        row = reading_matrix(m)[answer]
        scale = logit_scale(m) / norm_scale(m, m.stacks[""].norm, seen[last])
        for layer, block in enumerate(m.stacks[""].blocks):
            written = seen[f"L{layer}.mlp_out"]
            bias = getattr(block.neurons, "bias", None)
            if bias is not None:
                written = written - bias
            wanted = float(row @ written) * scale
            assert result.direct[layer].sum() == pytest.approx(wanted, rel=2e-3, abs=2e-4)


def test_scaling_a_neuron_moves_the_logit_by_its_direct_effect(gpt2: Loaded) -> None:
    # The last layer's neurons have no other way; the norm is held at what it did before.
    result = active(gpt2)
    neuron = int(np.abs(result.direct[-1]).argmax())
    change = [api.Scale(f"L2.neuron[{neuron}]", 1.5)]
    before, after = (
        torch.tensor(api.trace(gpt2, TEXT, ["L2.resid_post"], changes)["L2.resid_post"][-1])
        for changes in ((), change)
    )
    with torch.no_grad():
        row = reading_matrix(gpt2)[int(api.logits(gpt2, TEXT)[-1].argmax())]
        scale = norm_scale(gpt2, gpt2.stacks[""].norm, before)
        moved = float(row @ (after - before)) / scale
    assert moved == pytest.approx(result.direct[-1, neuron] / 2, rel=1e-3)
    logits = [api.logits(gpt2, TEXT, changes)[-1] for changes in ((), change)]
    assert np.sign((logits[1] - logits[0])[int(logits[0].argmax())]) == np.sign(moved)


def test_activations_are_those_of_the_trace(llama: Loaded) -> None:
    result = active(llama, position=3)
    for layer in range(3):
        wanted = api.trace(llama, TEXT, [f"L{layer}.neuron"])[f"L{layer}.neuron"]
        np.testing.assert_array_equal(result.activation[layer], wanted[3])
        where = np.abs(wanted).argmax(0)
        np.testing.assert_array_equal(result.peak_position[layer], where)
        np.testing.assert_array_equal(result.peak[layer], wanted[where, np.arange(56)])
        write = llama.stacks[""].blocks[layer].neurons.weight.detach().numpy()
        size = np.linalg.norm(write, axis=0)
        np.testing.assert_allclose(result.write[layer], np.abs(wanted[3]) * size, rtol=1e-4)
        spread = wanted[1:].var(0) * size**2
        np.testing.assert_allclose(
            result.variance_share[layer], spread / spread.sum(), rtol=1e-3, atol=1e-7
        )
    np.testing.assert_allclose(result.variance_share.sum(1), 1, rtol=1e-4)


def test_a_clamped_neuron_shows_its_clamp_and_the_control_is_about_chance(llama: Loaded) -> None:
    result = active(llama, interventions=[api.Clamp("L1.neuron[4]", 3.0)])
    assert result.activation[1, 4] == result.peak[1, 4] == 3.0
    assert result.n_random == N_RANDOM
    largest = np.abs(result.direct).max(1)
    assert (result.random_direct > largest / 20).all()
    assert (result.random_direct < largest * 20).all()


@pytest.mark.parametrize(
    ("family", "why"), [("bert", "norms act on the stream"), ("t5", "through the decoder")]
)
def test_where_writes_do_not_reach_the_logits_straight_it_says_why(
    tiny: Callable[[str], Path], family: str, why: str
) -> None:
    result = active(api.load(tiny(family), device="cpu"))
    assert why in result.why_not
    assert np.isnan(result.direct).all()
    assert result.answer == ""
    assert result.peak.any()


def test_experts_and_places_beyond_the_text_are_refused(
    tiny: Callable[[str], Path], llama: Loaded
) -> None:
    with pytest.raises(Error, match="experts"):
        active(api.load(tiny("mixtral"), device="cpu"))
    with pytest.raises(Error, match="position 99"):
        active(llama, position=99)
