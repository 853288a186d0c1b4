"""Last digits of numbers: a planted head follows them, others and random directions do not."""

from typing import Any

import numpy as np
import pytest
import torch

from core import api
from core.analyses.head_digits import like
from core.analyses.head_successor import head_successor
from core.analyses.runs import Silent
from core.figures import head_successor as drawn
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.base import read_parts
from core.results.head_successor import HeadSuccessor
from core.spec.errors import Error
from tests.core.head_models import Model, model
from tests.pages import head_weight_samples as samples
from tests.planted_digits import COUNTER, digits

__all__ = ["model"]  # a fixture


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return api.load(digits(tmp_path_factory.mktemp("planted") / "digits"), device="cpu")


def asked(loaded: Loaded, head: tuple[int, int] = COUNTER, **options: Any) -> HeadSuccessor:
    layer, number = head
    return head_successor(loaded, Silent(), layer=layer, head=number, embedding="raw", **options)


def test_the_planted_head_follows_the_digit_that_was_exchanged(numbers: Loaded) -> None:
    found = asked(numbers)
    assert found.mod_note == ""
    assert (found.mod_hit == 1).all()
    assert found.mod_unedited == 1
    moved, control = found.mod_moved
    assert moved == 1
    assert control < 0.1
    # A random direction leaves the digit: the head says what follows the one the number had.
    assert np.diag(found.mod_control).mean() > 0.9
    assert found.mod_n == (140, 40)


def test_the_digit_is_read_off_numbers_and_words_that_share_it_alone(numbers: Loaded) -> None:
    accuracy = asked(numbers).mod_accuracy
    assert accuracy["numbers"] == 1
    assert accuracy["number_words_1_20"] == 1
    assert accuracy["shuffled"] < 0.4
    assert "months" not in accuracy


def test_no_other_head_follows(numbers: Loaded) -> None:
    for head in ((1, 0), (1, 3), (0, 2)):
        assert asked(numbers, head).mod_moved[0] < 0.3


def test_a_model_without_numbers_says_so_and_keeps_the_rest(model: Model) -> None:
    found = asked(model("P3"), (2, 1), sequence="days")
    assert "digits_1_200" in found.mod_note
    assert np.isnan(found.mod_hit).all()
    assert found.score == 1.0
    assert drawn.digits_title(found).startswith("Nothing about last digits")
    assert drawn.figure(found, Look(), view="digits").data


def test_random_features_are_as_long() -> None:
    features = torch.randn(10, 16)
    made = like(features, 3)
    torch.testing.assert_close(made.norm(dim=1), features.norm(dim=1))
    assert not torch.equal(made, like(features, 4))


def test_a_saved_answer_is_the_same(numbers: Loaded, tmp_path: Any) -> None:
    found = asked(numbers)
    name, arrays, labels = read_parts(found.save(tmp_path))
    again = HeadSuccessor.build(arrays, labels)
    assert (name, again.labels()) == ("head_successor", found.labels())
    np.testing.assert_array_equal(again.mod_hit, found.mod_hit)


def test_the_exchange_is_drawn_beside_its_control() -> None:
    result = samples.head_successor()
    own, control = drawn.figure(result, Look(), view="digits").data
    np.testing.assert_allclose(own.z, result.mod_hit, rtol=1e-6)
    np.testing.assert_array_equal(control.z, result.mod_control)
    assert (own.zmin, own.zmax) == (control.zmin, control.zmax) == (0, 1)
    assert "70%" in drawn.digits_title(result)
    assert "144 numbers, 36 held out" in drawn.digits_caption(result)
    with pytest.raises(Error, match="items, digits"):
        drawn.figure(result, Look(), view="months")
