"""Read/write classes: published counts, planted neurons of every class, controls."""

import numpy as np
import pytest
import torch

from core import api
from core.engine.neuron_classes import classes, isotropic_band
from core.models.loaded import Loaded
from core.results.neuron_classes import CLASSES, NeuronClasses


def counts(result: NeuronClasses, layer: int) -> dict[str, int]:
    return {CLASSES[c]: int(n) for c, n in enumerate(result.count[layer]) if n}


def test_the_counts_of_stories260k_are_those_measured_for_it(stories: Loaded) -> None:
    result = api.run("neuron_classes", stories)
    assert counts(result, 0) == {
        "orthogonal output": 93,
        "proportional change": 25,
        "conditional strengthening": 19,
        "conditional weakening": 18,
        "atypical proportional change": 7,
        "atypical weakening": 6,
        "atypical strengthening": 2,
        "strengthening": 1,
        "weakening": 1,
    }
    for layer, orthogonal, weakening in ((1, 165, 6), (2, 154, 13), (3, 163, 5), (4, 171, 1)):
        found = counts(result, layer)
        assert found.pop("orthogonal output") == orthogonal
        assert found.pop("conditional weakening") == weakening
        assert max(found.values(), default=0) <= 4
    medians = np.quantile(result.linout, 0.5, axis=1, method="lower")
    np.testing.assert_allclose(medians, [0.16, -0.22, -0.15, -0.18, -0.14], atol=0.005)


def test_the_control_hardly_finds_any_class_but_orthogonal(stories: Loaded) -> None:
    result = api.run("neuron_classes", stories)
    orthogonal = CLASSES.index("orthogonal output")
    assert (result.control_count[:, orthogonal] > 165).all()
    assert result.count[0, orthogonal] < 100
    np.testing.assert_allclose(result.control_count.sum(axis=1), 172, rtol=1e-5)


def test_95_percent_of_mismatched_pairs_lie_inside_the_band(stories: Loaded) -> None:
    from core.engine.neuron_rows import neuron_rows

    result = api.run("neuron_classes", stories)
    read, out = (neuron_rows(stories, 3, weight).numpy() for weight in ("in", "out"))
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (read, out)]
    pairs = (unit[0] @ unit[1].T)[~np.eye(172, dtype=bool)]
    low, high = result.band[3, 0]
    assert np.mean((pairs > low) & (pairs < high)) == pytest.approx(0.95, abs=0.005)


def test_the_isotropic_band_is_that_of_the_beta_law() -> None:
    # Simulated for d = 64 elsewhere: 0.243; the normal approximation: 1.96 / 8 = 0.245.
    assert isotropic_band(64) == pytest.approx(0.2436, abs=0.002)
    vectors = np.random.default_rng(0).normal(size=(4000, 2, 24))
    unit = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
    cosine = np.abs((unit[:, 0] * unit[:, 1]).sum(axis=1))
    assert np.mean(cosine < isotropic_band(24)) == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize(
    ("linout", "gatelin", "gateout", "name"),
    [
        (0.9, 0.9, 0.9, "strengthening"),
        (0.9, -0.9, -0.9, "strengthening"),  # the same neuron, in and out turned round
        (0.9, 0.9, -0.9, "atypical strengthening"),
        (0.9, 0.0, 0.9, "atypical strengthening"),
        (0.9, 0.1, 0.2, "conditional strengthening"),
        (0.9, 0.8, 0.2, "atypical conditional strengthening"),
        (0.1, 0.2, 0.9, "proportional change"),
        (0.1, 0.2, -0.9, "proportional change"),
        (0.1, 0.8, 0.9, "atypical proportional change"),
        (0.1, 0.2, 0.3, "orthogonal output"),
        (0.1, 0.9, 0.3, "orthogonal output"),
        (-0.9, -0.9, 0.9, "weakening"),
        (-0.9, 0.9, -0.9, "weakening"),
        (-0.9, 0.9, 0.9, "atypical weakening"),
        (-0.9, 0.1, 0.1, "conditional weakening"),
        (-0.9, -0.8, 0.1, "atypical conditional weakening"),
        (0.5, 0.5, 0.5, "orthogonal output"),  # the threshold itself does not count
    ],
)
def test_cosines_have_the_class_of_the_paper(
    linout: float, gatelin: float, gateout: float, name: str
) -> None:
    assert CLASSES[int(classes(torch.tensor([[linout, gatelin, gateout]]))[0])] == name


def test_without_a_gate_the_class_is_that_of_in_and_out(gpt2: Loaded) -> None:
    nothing = float("nan")
    values = [[0.6, nothing, nothing], [0.4, nothing, nothing], [-0.6, nothing, nothing]]
    named = [CLASSES[code] for code in classes(torch.tensor(values)).tolist()]
    assert named == ["strengthening", "orthogonal output", "weakening"]
    result = api.run("neuron_classes", gpt2)
    assert not result.gated
    assert np.isnan(result.gatelin).all()
    assert np.isfinite(result.band[:, 0]).all()
    assert np.isnan(result.band[:, 1:]).all()


def test_turning_a_neuron_round_leaves_its_place_in_the_scatter(stories: Loaded) -> None:
    result = api.run("neuron_classes", stories)
    flipped = result.flipped(1)
    assert (flipped[:, 1] >= 0).all()
    np.testing.assert_array_equal(flipped[:, 0], result.linout[1])
    np.testing.assert_allclose(np.abs(flipped[:, 2]), np.abs(result.gateout[1]))
