"""The plane of gate and up value: counts, quadrants and texts against the trace."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import api
from core.models.loaded import Loaded
from core.results.neuron_plane import NeuronPlane
from core.spec.errors import Error
from tests.core.planted import plant_reader
from tests.core.test_neuron_examples_fires import CORPUS


def plane(m: Loaded, **options: Any) -> NeuronPlane:
    given = {"layer": 1, "neuron": 5, "corpus": CORPUS, "window": 64, **options}
    result = api.run("neuron_plane", m, **given)
    assert isinstance(result, NeuronPlane)
    return result


def inputs(m: Loaded, *names: str) -> list[np.ndarray]:
    """Values of the sites at every token but the first of the corpus."""
    found: list[list[np.ndarray]] = [[] for _ in names]
    for text in CORPUS:
        seen = api.trace(m, text, list(names))
        for column, name in zip(found, names, strict=True):
            column.append(seen[name][1:])
    return [np.concatenate(column) for column in found]


@pytest.mark.parametrize("family", ["llama", "phi3", "gemma2"])
def test_quadrants_are_those_of_the_trace(tiny: Callable[[str], Path], family: str) -> None:
    m = api.load(tiny(family), device="cpu")
    result = plane(m)
    gate, up, value = inputs(m, "L1.gate[5]", "L1.up[5]", "L1.neuron[5]")
    assert result.n_tokens == len(gate)
    assert result.gated
    inside = [(gate >= 0) == (q[0] == "+") for q in result.quadrants]
    both = [g & ((up >= 0) == (q[1] == "+")) for g, q in zip(inside, result.quadrants, strict=True)]
    np.testing.assert_allclose(result.share, [mask.mean() for mask in both], atol=1e-6)
    wanted = [np.abs(value[mask]).sum() / np.abs(value).sum() for mask in both]
    np.testing.assert_allclose(result.strength, wanted, atol=1e-4)
    assert result.correlation == pytest.approx(np.corrcoef(gate, up)[0, 1], abs=1e-3)
    assert result.counts.sum() + result.n_outside == result.n_tokens
    for quadrant, mask in zip(result.quadrants, both, strict=True):
        own = [i for i, name in enumerate(result.extreme_quadrant) if name == quadrant]
        if mask.any():
            strongest = np.abs(value[mask]).max()
            assert np.abs(result.extreme_activation[own[0]]) == pytest.approx(strongest, rel=1e-3)
    np.testing.assert_allclose(result.random_strength.sum(), 1, atol=1e-6)


def test_a_neuron_planted_to_read_one_word_has_its_mass_in_one_quadrant(llama: Loaded) -> None:
    m = plant_reader(llama, layer=0, neuron=11, word="cat")
    result = plane(m, layer=0, neuron=11)
    assert result.strength[result.quadrants.index("++")] > 0.6
    # Both read the same words, which chance pairs would not.
    assert result.strength[0] > result.random_strength[0] + 0.1
    assert result.correlation > 0.99
    first = result.extreme_quadrant.index("++")
    assert result.extreme_tokens[first][result.extreme_at[first]].strip() == "cat"


@pytest.mark.parametrize("family", ["gpt2", "bert", "opt"])
def test_without_a_gate_there_is_the_one_input(tiny: Callable[[str], Path], family: str) -> None:
    m = api.load(tiny(family), device="cpu")
    result = plane(m)
    assert not result.gated
    assert result.quadrants == ("+", "-")
    assert result.counts.shape[0] == 1
    assert np.isnan(result.correlation)
    assert np.isnan(result.extreme_up).all()
    assert result.counts.sum() + result.n_outside == result.n_tokens
    if family == "gpt2":
        before, value = inputs(m, "L1.up[5]", "L1.neuron[5]")
        assert result.share[0] == pytest.approx((before >= 0).mean())
        wanted = np.abs(value[before >= 0]).sum() / np.abs(value).sum()
        assert result.strength[0] == pytest.approx(wanted, rel=1e-3)


def test_experts_and_unknown_neurons_are_refused(
    tiny: Callable[[str], Path], llama: Loaded
) -> None:
    with pytest.raises(Error, match="experts"):
        plane(api.load(tiny("mixtral"), device="cpu"))
    with pytest.raises(Error, match="neuron 0 to 55"):
        plane(llama, neuron=56)
