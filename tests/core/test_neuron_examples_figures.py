"""Figures of neurons on texts: the numbers of the result, controls named, text harmless."""

import json
import re
from typing import Any

import numpy as np
import pytest

from core.figures import neuron_activity, neuron_examples, neuron_fires, table
from core.figures.theme import Look
from core.results.base import Result
from core.spec.errors import Error
from tests.core.test_figures import strings
from tests.pages import text_samples as samples
from tests.pages.samples import HOSTILE

LIGHT = Look()
DARK = Look(dark=True)


def sent(result: Result, **chosen: object) -> Any:
    return json.loads(table.figure(result, LIGHT, **chosen).to_json())


@pytest.mark.parametrize("result", samples.hostile(HOSTILE), ids=lambda r: r.name)
def test_no_token_becomes_markup(result: Result) -> None:
    own = re.compile(r"</?b>|<br>|<extra>\w*(, mean)?</extra>")
    for text in strings(sent(result)):
        assert "<" not in own.sub("", text), text
        assert "$" not in text
        assert "\u202e" not in text


@pytest.mark.parametrize("look", [LIGHT, DARK])
@pytest.mark.parametrize("show", neuron_examples.SHOWN)
def test_rows_of_the_map_are_layers_also_when_some_were_read(show: str, look: Look) -> None:
    result = samples.neuron_examples(layers=(2, 5), neurons=56)
    fig = neuron_examples.figure(result, look, show=show)
    shown = np.array(fig.data[0].z)
    assert shown.shape == (6, 56)
    own = getattr(result, neuron_examples.SHOWN[show][0])
    np.testing.assert_array_equal(shown[[2, 5]], own)
    assert np.isnan(shown[[0, 1, 3, 4]]).all()


def test_the_histogram_has_the_bins_of_the_result_and_its_fifths() -> None:
    result = samples.neuron_texts()
    fig = table.figure(result, LIGHT)
    bars = fig.data[0]
    np.testing.assert_allclose(np.nan_to_num(bars.y), result.counts)
    np.testing.assert_allclose(bars.width, np.diff(result.edges))
    fifths = sorted(shape.x0 for shape in fig.layout.shapes)
    wanted = [result.smallest * i / 5 for i in range(1, 6)]
    wanted += [result.largest * i / 5 for i in range(1, 6)]
    np.testing.assert_allclose(fifths, sorted(wanted))
    assert "18 of its 20 strongest" in table.title(result)
    assert "strongest" not in table.title(samples.neuron_texts(dead=True))


def test_points_are_the_table_and_the_dashes_the_control() -> None:
    result = samples.neuron_fires()
    line, points = table.figure(result, LIGHT).data
    np.testing.assert_allclose(points.x, result.recall)
    np.testing.assert_allclose(points.y, result.precision)
    assert points.text[0].startswith(f"L{result.best_layer[0]}.neuron[{result.best_neuron[0]}]")
    # Below a precision of 1 every pair on the line has the control's F1.
    recall, precision = np.array(line.x), np.array(line.y)
    f1 = 2 * recall * precision / (recall + precision)
    np.testing.assert_allclose(f1[precision < 1], result.control_f1.max(), rtol=1e-6)
    assert (f1 < result.control_f1.max() + 1e-6).all()
    assert table.title(samples.neuron_fires(found=False)).startswith("No neuron tells")


def test_the_map_of_firing_is_signed_by_direction_and_by_half() -> None:
    result = samples.neuron_fires()
    f1 = np.array(neuron_fires.figure(result, LIGHT, show="f1").data[0].z)
    np.testing.assert_allclose(f1[[0, 2]], result.f1 * result.direction, rtol=1e-6)
    auc = np.array(neuron_fires.figure(result, LIGHT, show="auc").data[0].z)
    np.testing.assert_allclose(auc[[0, 2]], result.auc - 0.5, rtol=1e-5)
    with pytest.raises(Error, match="can show table, f1, auc"):
        neuron_fires.figure(result, LIGHT, show="precision")


def test_the_plane_is_drawn_in_powers_of_ten_with_its_extremes() -> None:
    result = samples.neuron_plane()
    heat, rings = table.figure(result, DARK).data
    np.testing.assert_allclose(10 ** np.nan_to_num(heat.z), np.maximum(result.counts, 1), rtol=1e-5)
    np.testing.assert_array_equal(rings.x, result.extreme_gate)
    np.testing.assert_array_equal(rings.y, result.extreme_up)
    flat = table.figure(samples.neuron_plane(gated=False), DARK)
    assert [trace.type for trace in flat.data] == ["bar"]


def test_a_direct_effect_that_does_not_exist_is_not_drawn() -> None:
    result = samples.neuron_activity(why_not="this model has no head for predictions")
    with pytest.raises(Error, match="no direct effect to show: this model has no head"):
        neuron_activity.figure(result, LIGHT, show="direct")
    for show in neuron_activity.SHOWN:
        fig = neuron_activity.figure(samples.neuron_activity(), LIGHT, show=show)
        assert 650 < fig.data[0].customdata.max() < 700
    with pytest.raises(Error, match="the map can show activation"):
        neuron_activity.figure(result, LIGHT, show="size")
