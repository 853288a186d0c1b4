"""Figures about the weights of neurons: what they show, that clicks find the neuron, no markup."""

from typing import Any

import numpy as np
import pytest

from core.figures import (
    neuron_card,
    neuron_classes,
    neuron_map,
    neuron_match,
    neuron_search,
    neuron_tokens,
)
from core.figures.theme import Look
from core.results.base import Result, read_parts
from core.results.table import result_class
from core.spec.errors import Error
from tests.core.test_figures import sent, strings
from tests.pages import neuron_samples as samples
from tests.pages.samples import HOSTILE

HOSTILE_RESULTS = (
    samples.neuron_tokens(HOSTILE),
    samples.neuron_map(HOSTILE),
    samples.neuron_card(HOSTILE),
    samples.neuron_search(HOSTILE, asked="<img src=x> $x$ \u202e"),
    samples.neuron_match(HOSTILE, models=("<script>", "$a$")),
)


@pytest.mark.parametrize("result", HOSTILE_RESULTS, ids=lambda r: r.name)
def test_no_token_name_or_query_becomes_markup(result: Result) -> None:
    for text in strings(sent(result)):
        plain = text
        for own in ("<b>", "</b>", "<br>", "<extra></extra>"):
            plain = plain.replace(own, "")
        assert "<" not in plain, text
        assert "$" not in text
        assert "\u202e" not in text
        assert "\x00" not in text


@pytest.mark.parametrize("result", samples.every(), ids=lambda r: r.name)
def test_an_answer_is_the_same_after_it_was_saved(result: Result, tmp_path: Any) -> None:
    name, arrays, labels = read_parts(result.save(tmp_path / "answer"))
    again = result_class(name).build(arrays, labels)
    assert again.labels() == result.labels()
    for key, array in result.arrays().items():
        np.testing.assert_array_equal(again.arrays()[key], array)
    assert len(again.to_frame()) > 0


def test_a_click_on_the_search_map_finds_the_strongest_neuron_of_the_cell() -> None:
    result = samples.neuron_search()
    (cells,) = neuron_search.figure(result, Look()).data
    layer, column = np.unravel_index(np.abs(cells.z).argmax(), cells.z.shape)
    assert (layer, cells.customdata[layer, column]) == (4, 17)
    assert cells.z[layer, column] == result.score[4, 17]
    assert cells.zmin == -cells.zmax


def test_a_map_of_many_neurons_is_pooled_and_says_which_neuron_it_shows() -> None:
    result = samples.neuron_map()
    for show, (field, _, diverging) in neuron_map.SHOWN.items():
        (cells,) = neuron_map.figure(result, Look(), show=show).data
        values = getattr(result, field)
        assert cells.z.shape[1] <= 512
        rows = np.arange(len(values))[:, None]
        np.testing.assert_array_equal(values[rows, cells.customdata], cells.z)
        assert (cells.zmin == -cells.zmax) == diverging
    with pytest.raises(Error, match="z, size, cosine"):
        neuron_map.figure(result, Look(), show="colour")


def test_the_bars_of_a_card_are_its_z_scores_beside_the_null() -> None:
    result = samples.neuron_card()
    fig = neuron_card.figure(result, Look(), most=4)
    assert len(fig.data) == 6
    for column in range(3):
        top, bottom = fig.data[2 * column : 2 * column + 2]
        np.testing.assert_array_equal(top.x, result.top_z[column, :4])
        np.testing.assert_array_equal(bottom.x, result.bottom_z[column, :4])
        assert (np.diff(top.y) < 0).all()  # most extreme outside
        assert (np.diff(bottom.y) > 0).all()
    drawn_at = sorted(round(shape.x0, 3) for shape in fig.layout.shapes)
    assert drawn_at == sorted([-5.1, 5.1] * 3)
    assert len(neuron_card.figure(samples.neuron_card(gated=False), Look()).data) == 4


def test_points_of_a_layer_are_its_neurons_in_order() -> None:
    result = samples.neuron_tokens()
    (points,) = neuron_tokens.figure(result, Look()).data
    np.testing.assert_array_equal(points.y, result.top_z)
    np.testing.assert_array_equal(points.x, -result.bottom_z)
    np.testing.assert_array_equal(points.customdata, np.arange(40))
    filled = np.array(points.marker.symbol) == "circle"
    np.testing.assert_array_equal(filled, result.decodable)


def test_the_areas_of_the_classes_and_the_control_are_shares() -> None:
    result = samples.neuron_classes()
    *areas, control = neuron_classes.figure(result, Look()).data
    total = sum(area.y for area in areas)
    np.testing.assert_allclose(total, 1 - result.count[:, 6] / 200)
    np.testing.assert_allclose(control.y, 1 / 200, rtol=1e-4)
    assert {area.fillpattern.shape for area in areas if area.name.startswith("atyp")} == {"/"}


def test_the_neurons_of_a_layer_stand_at_their_flipped_cosines() -> None:
    result = samples.neuron_classes()
    (points,) = neuron_classes.figure(result, Look(), view="neurons", layer=3).data
    np.testing.assert_array_equal(points.x, result.linout[3])
    assert (points.marker.color >= 0).all()
    (bars,) = neuron_classes.figure(
        samples.neuron_classes(gated=False), Look(), view="neurons", layer=3
    ).data
    assert bars.y.sum() == 200
    with pytest.raises(Error, match="layers 0 to 5"):
        neuron_classes.figure(result, Look(), view="neurons", layer=6)
    with pytest.raises(Error, match="depth, neurons"):
        neuron_classes.figure(result, Look(), view="pie")


@pytest.mark.parametrize("measure", neuron_match.MEASURES)
def test_every_line_of_a_match_has_its_control_in_the_same_colour(measure: str) -> None:
    lines = neuron_match.figure(samples.neuron_match(), Look(), measure=measure).data
    assert [line.line.dash for line in lines] == ["solid", "dash"] * 2
    for own, control in zip(lines[::2], lines[1::2], strict=True):
        assert own.line.color == control.line.color
        assert own.y.mean() > control.y.mean()


def test_a_search_without_a_find_says_so() -> None:
    assert neuron_search.title(samples.neuron_search()).startswith("L4.neuron[17] writes “he, she”")
    assert "more clearly than chance" in neuron_search.title(samples.neuron_search(clear=False))
