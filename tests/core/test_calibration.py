"""Probabilities of probes: planted sureness, perfect scores, stopping; the asked analysis."""

import numpy as np
import pytest
import torch

from core import api
from core.analyses import calibrated
from core.analyses.calibration import calibration
from core.analyses.runs import Silent
from core.figures.table import caption, figure, title
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.calibration import Calibration
from core.spec.errors import Error
from tests.core.depth_case import halves, lines, noise

VIEWS = ("reliability", "errors", "stopping", "parts", "reading")


@pytest.fixture(scope="module")
def embedded() -> Loaded:
    return api.load("embedded", device="cpu")


def check() -> None:
    """Nobody stops it."""


def test_a_temperature_undoes_the_factor_a_margin_was_given() -> None:
    rng = np.random.default_rng(0)
    margin = rng.normal(size=5_000) * 2
    label = (rng.uniform(size=5_000) < calibrated.sigmoid(margin)).astype(int)
    for factor in (0.5, 1.0, 4.0):
        assert calibrated.temperature(margin * factor, label) == pytest.approx(factor, rel=0.1)


def test_a_perfect_score_has_a_small_error_and_the_draws_say_how_small() -> None:
    rng = np.random.default_rng(1)
    margin = rng.normal(size=400)
    label = (rng.uniform(size=400) < calibrated.sigmoid(margin)).astype(int)
    drawn = calibrated.perfect(margin, rng)
    assert drawn.min() < calibrated.measured(margin, label)["ece"] < drawn.max()
    assert calibrated.measured(3 * margin, label)["ece"] > np.quantile(drawn, 0.95)


def test_an_overfitted_probe_is_too_sure_and_its_temperature_says_so() -> None:
    """As many channels as texts: the training texts are separated whatever the labels."""
    label = halves(120)
    x = noise(120, 100)
    x[:, 0] += 0.7 * (2 * label - 1)
    one = calibrated.case(label, np.arange(120), np.arange(120) % 5, 0)
    found = calibrated.scaled(torch.tensor(x), one, one.sets, 1.0, check)
    assert found.temperature[:, 0].mean() > 1.5
    raw, cool = found.margin[:, 0], found.cooled(one.fold)[:, 0]
    assert calibrated.measured(cool, label)["ece"] < calibrated.measured(raw, label)["ece"]
    assert (
        calibrated.measured(cool, label)["log_loss"] < calibrated.measured(raw, label)["log_loss"]
    )
    shuffled = found.cooled(one.fold)[:, 1]
    assert calibrated.measured(shuffled, one.sets[:, 1])["brier"] == pytest.approx(0.25, abs=0.02)


def test_no_text_sets_the_temperature_it_is_judged_with() -> None:
    label = halves(60)
    one = calibrated.case(label, np.arange(60), np.arange(60) % 3, 0)
    x = torch.tensor(noise(60, 10))
    before = calibrated.scaled(x, one, one.sets[:, :1], 1.0, check)
    turned = one.sets[:, :1].copy()
    turned[one.fold == 0] = 1 - turned[one.fold == 0]
    after = calibrated.scaled(x, one, turned, 1.0, check)
    assert after.temperature[0, 0] == before.temperature[0, 0]


def test_reliability_counts_what_is_there() -> None:
    margin = np.log(np.array([0.05, 0.05, 0.95, 0.95]) / np.array([0.95, 0.95, 0.05, 0.05]))
    bins = calibrated.reliability(margin, np.array([0, 1, 1, 1]))
    np.testing.assert_allclose(bins[0], [2, 0.05, 0.5])
    np.testing.assert_allclose(bins[9], [2, 0.95, 1.0])
    assert np.isnan(bins[1:9, 1]).all()
    assert bins[:, 0].sum() == 4


def test_a_text_stops_where_it_is_first_sure() -> None:
    sure = np.log(0.95 / 0.05)
    margin = np.array([[0.1, sure, 0.1], [-sure, 0.1, 0.1], [sure, sure, 0.2]])
    stage, accuracy = calibrated.stops(margin, np.array([1, 1, 0]), np.array([0.9, 0.999]))
    np.testing.assert_allclose(stage, [1.0, 2.0])  # stages 1, 0, 2; and all at the end
    np.testing.assert_allclose(accuracy, [1 / 3, 2 / 3])


def test_a_planted_verdict_is_sure_where_it_is_formed(embedded: Loaded) -> None:
    found = calibration(embedded, Silent(), labelled="review")
    assert found.best > 0
    assert found.brier[-1] < 0.02
    assert found.brier[0] == pytest.approx(0.25, abs=0.01)  # the last word says nothing
    assert found.part_auc[-1, -1] > 0.95
    assert found.part_auc[1, -1] < 0.75  # nothing has been said yet
    assert found.part_words_auc[-1] < 0.75
    assert found.stop_saved[0] > 0.5
    assert found.stop_accuracy.min() > 0.9
    assert found.control_part_auc.mean() == pytest.approx(0.5, abs=0.08)
    for view in VIEWS:
        for dark in (False, True):
            assert figure(found, Look(dark=dark), view=view, layer=2).data
    assert "probabilities" in title(found) or "sure" in title(found)
    assert "labels drawn from the probabilities" in caption(found)
    assert len(found.to_frame()) == embedded.n_layers + 1
    with pytest.raises(Error, match="from 0"):
        figure(found, Look(), layer=50)


def test_random_labels_have_no_probability(stories: Loaded) -> None:
    found = api.run("calibration", stories, texts=lines(80), labels=halves(80).tolist())
    assert isinstance(found, Calibration)
    assert "no layer's probability beats" in title(found)
    assert found.stop_saved[-1] < 0.3


def test_a_model_that_reads_both_ways_has_no_parts(tiny: object) -> None:
    bert = api.load(tiny("bert"), device="cpu")  # type: ignore[operator]
    found = api.run("calibration", bert, texts=lines(40), labels=halves(40).tolist())
    assert isinstance(found, Calibration)
    assert len(found.part) == 0
    assert any("both directions" in note for note in found.notes)
    assert figure(found, Look(), view="stopping").data
    with pytest.raises(Error, match="both directions"):
        figure(found, Look(), view="reading")
