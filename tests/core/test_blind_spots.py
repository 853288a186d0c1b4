"""What one side lacks: planted absences head the list, equal sides differ nowhere."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.figures.table import caption, figure
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.spec.errors import Error
from tests.core.copies import writable
from tests.core.feature_models import carrying, dictionary
from tests.core.test_feature_label import OTHERS, planted, texts

TEXT = texts(60)


@pytest.fixture(scope="module")
def m(tiny: Callable[[str], Path]) -> Loaded:
    return api.load(tiny("llama"), device="cpu")


def test_a_text_without_animals_lacks_the_animal_feature() -> None:
    model = planted(api.load("embedded", device="cpu"))[0]
    without = list(texts(500))
    drawn = np.random.default_rng(5)
    for animal in ("dog", "cat", "bird", "fox", "frog"):
        without = [t.replace(f" {animal}", f" {drawn.choice(OTHERS)}") for t in without]
    result = api.run(
        "blind_spots", model, dictionary="planted", corpus=texts(200), with_corpus=without[200:]
    )
    first = int(result.suppressed[0])
    assert result.feature[first] == 0
    assert result.high[first] < -3
    assert result.prevalence[0, first] > 0.5
    assert result.prevalence[1, first] == 0
    assert result.control_beyond <= 1
    assert np.abs(result.control[first]) < 0.5
    assert all(figure(result, Look(dark=dark)).data for dark in (False, True))
    assert "control" in caption(result)


def test_two_models_share_one_dictionary_and_the_same_model_has_no_blind_spot(m: Loaded) -> None:
    model = carrying(m, dictionary(m, at="L0.resid_post", n=30))
    same = api.run("blind_spots", model, dictionary="made", corpus=TEXT, other=m)
    assert same.paired
    assert same.n_beyond == 0
    np.testing.assert_array_equal(same.change, 0)
    other = replace(writable(m), name="altered", fingerprint="altered")
    with torch.no_grad():
        for parameter in other.stacks[""].blocks[0].mlp.parameters():
            parameter.mul_(3.0)
    moved = api.run("blind_spots", model, dictionary="made", corpus=TEXT, other=other)
    assert moved.sides == (m.name, "altered")
    assert moved.n_beyond > len(moved.feature) / 2
    assert moved.control_beyond < moved.n_beyond / 2
    energy = moved.energy[1] / moved.energy[0]
    np.testing.assert_allclose(moved.change, np.log2(energy), atol=0.3)


def test_a_side_is_needed(m: Loaded) -> None:
    with pytest.raises(Error, match="with_corpus= another text"):
        api.run("blind_spots", carrying(m, dictionary(m)), dictionary="made", corpus=TEXT)
