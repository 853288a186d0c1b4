"""Figures of heads by their weights: the numbers of the answer, on symmetric scales, as text."""

import re

import numpy as np
import pytest

from core.figures import head_composition, head_ovqk, head_scores, head_successor
from core.figures.theme import Look
from core.results.head_scores import KINDS, SIGNED
from core.spec.errors import Error
from tests.core.test_figures import sent, strings
from tests.pages import head_weight_samples as samples
from tests.pages.samples import HOSTILE


@pytest.mark.parametrize("show", head_ovqk.SHOWN)
def test_no_token_of_a_head_becomes_markup(show: str) -> None:
    texts = strings(sent(samples.head_ovqk(HOSTILE), show=show))
    for text in (*texts, *strings(sent(samples.head_successor(HOSTILE)))):
        assert "<" not in re.sub(r"</?b>|<br>|<extra></extra>", "", text), text
        assert "$" not in text
        assert "\u202e" not in text


@pytest.mark.parametrize("kind", [*KINDS, "days"])
def test_the_map_of_a_score_shows_it_beside_its_control(kind: str) -> None:
    result = samples.head_scores()
    own, control = head_scores.figure(result, Look(), kind=kind).data
    wanted = result.by_list[kind] if kind == "days" else result.scores[kind]
    np.testing.assert_array_equal(own.z, wanted)
    assert (own.zmin, own.zmax) == (control.zmin, control.zmax)
    assert (own.zmin == -own.zmax) == (kind in SIGNED)
    if kind == "days":
        np.testing.assert_allclose(control.z, 1 / 7)


def test_a_score_that_is_not_there_is_named() -> None:
    with pytest.raises(Error, match=r"no score 'weeks'; there are ov_eigenvalue, .* days, months"):
        head_scores.figure(samples.head_scores(), Look(), kind="weeks")


def test_the_successor_matrix_marks_the_next_item_of_each() -> None:
    result = samples.head_successor()
    cells, rings = head_successor.figure(result, Look()).data
    np.testing.assert_array_equal(cells.z, result.logits)
    np.testing.assert_array_equal(rings.x, result.after)
    np.testing.assert_array_equal(rings.y, result.step)
    assert [symbol == "circle" for symbol in rings.marker.symbol] == result.hit.tolist()
    assert cells.zmin == -cells.zmax


def test_composition_is_drawn_less_random_and_its_cells_name_both_heads() -> None:
    result = samples.head_composition()
    (cells,) = head_composition.figure(result, Look(), kind="k").data
    np.testing.assert_allclose(cells.z, result.composition["k"] - result.random[1, 0], atol=1e-7)
    assert cells.customdata[5, 9].tolist() == [1, 1, 2, 1]
    assert "L1.head[0] reads L0.head[0] with its keys" in head_composition.title(result)
    with pytest.raises(Error, match="heads read with q, k, v"):
        head_composition.figure(result, Look(), kind="o")


def test_many_heads_are_drawn_as_the_strongest_pair_of_two_layers() -> None:
    result = samples.head_composition(8, 32)
    (cells,) = head_composition.figure(result, Look(), kind="q").data
    assert cells.z.shape == (8, 8)
    assert np.isnan(cells.z[3, :4]).all()
    l1, h1, l2, h2 = cells.customdata[2, 5].tolist()
    assert (l1, l2) == (2, 5)
    block = result.composition["q"][64:96, 160:192]
    assert block.max() == block[h1, h2]
    assert cells.z[2, 5] == pytest.approx(block.max() - result.random[0, 0])


def test_the_lines_of_a_head_are_its_spectrum_and_its_scores() -> None:
    result = samples.head_ovqk()
    control, own = head_ovqk.figure(result, Look()).data
    np.testing.assert_array_equal(own.y, result.spectrum)
    np.testing.assert_array_equal(control.y, result.control_spectrum)
    *_, score = head_ovqk.figure(result, Look(), show="offset").data
    np.testing.assert_array_equal(score.y, result.offsets["score"])
    assert "most at distance 0" in head_ovqk.title(result, "offset")
    flat = samples.head_ovqk(position="none")
    assert "alike at any distance" in head_ovqk.title(flat, "offset")
    assert "sees 8 tokens back" in head_ovqk.caption(result)
    with pytest.raises(Error, match="spectrum or offset"):
        head_ovqk.figure(result, Look(), show="tokens")
