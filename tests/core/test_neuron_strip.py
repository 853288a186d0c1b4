"""The strip of all neurons: what a cell shows is the strongest neuron it stands for."""

import numpy as np
import pytest

from core.figures import neuron_strip
from core.figures.theme import Look


def test_a_cell_shows_its_strongest_neuron_and_says_which_it_is():
    values = np.zeros((2, 1_300), dtype=np.float32)
    values[0, 1_299], values[1, 4] = -7.0, 2.0
    shown, neurons = neuron_strip.pooled(values, columns=512)
    assert shown.shape == neurons.shape == (2, 434)  # three a cell, the last one holds one
    assert shown[0, -1] == -7.0
    assert neurons[0, -1] == 1_299
    assert shown[1, 1] == 2.0
    assert neurons[1, 1] == 4
    assert np.count_nonzero(shown) == 2


def test_with_room_enough_every_neuron_has_its_own_cell():
    values = np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32)
    shown, neurons = neuron_strip.pooled(values)
    np.testing.assert_array_equal(shown, values)
    np.testing.assert_array_equal(neurons, np.tile(np.arange(40), (3, 1)))


def test_a_cell_without_values_stays_empty():
    values = np.full((1, 2_000), np.nan, dtype=np.float32)
    values[0, 1] = 0.5
    shown, neurons = neuron_strip.pooled(values, columns=500)
    assert shown[0, 0] == 0.5
    assert neurons[0, 0] == 1
    assert np.isnan(shown[0, 1:]).all()


@pytest.mark.parametrize("dark", [False, True])
def test_a_diverging_strip_is_symmetric_about_zero(dark: bool):
    values = np.linspace(-3, 1, 60, dtype=np.float32).reshape(2, 30)
    fig = neuron_strip.figure(values, Look(dark=dark), title="t", words="z", diverging=True)
    cells = fig.data[0]
    assert cells.zmin == -cells.zmax
    assert cells.zmax >= 3
    assert [list(row) for row in cells.customdata] == [list(range(30))] * 2
