"""Erasure inside a model: the guarantee holds behind the hooks, and the costs are told."""

import numpy as np
import pytest

from core import api
from core.analyses.runs import Silent
from core.analyses.states import encoded, states
from core.models.loaded import Loaded
from core.results.erase import EraseResult

UP = [f"{a} {b} was happy" for a in ("the", "a", "my", "his") for b in ("dog", "cat", "boy")]
DOWN = [text.replace("happy", "sad") for text in UP]
DAYS = {
    "first": [f"{a} {b} one" for a in ("the", "a", "my") for b in ("dog", "cat", "boy")],
    "second": [f"{a} {b} two" for a in ("the", "a", "my") for b in ("dog", "cat", "boy")],
    "third": [f"{a} {b} ten" for a in ("the", "a", "my") for b in ("dog", "cat", "boy")],
}


@pytest.fixture(scope="module")
def result(stories: Loaded) -> EraseResult:
    found = api.run("erase", stories, pairs=list(zip(UP, DOWN, strict=True)), layers=[1, 3])
    assert isinstance(found, EraseResult)
    return found


def test_with_the_erasers_in_force_the_class_means_are_equal_at_every_layer(
    stories: Loaded, result: EraseResult
) -> None:
    # The training pairs, found as the analysis splits them.
    from core.analyses.effects import split

    groups = [*range(len(UP))] * 2
    train, _ = split(2 * len(UP), 0.6, groups, 0)
    ids = encoded(stories, (*UP, *DOWN))
    for change, equal in (((), False), (result.changes(), True)):
        seen = states(stories, Silent(), ids, change=change).vectors[0]
        for layer in (1, 3):
            values = seen[layer].double().numpy()
            up = values[[i for i in train if i < len(UP)]].mean(0)
            down = values[[i for i in train if i >= len(UP)]].mean(0)
            gap = np.linalg.norm(up - down) / np.linalg.norm(values, axis=1).mean()
            assert (gap < 1e-4) == equal


def test_linear_probes_fall_to_chance_and_random_directions_change_nothing(
    result: EraseResult,
) -> None:
    assert result.methods == ("leace", "difference", "random", "inlp")
    assert (result.linear_before > 0.9).all()
    np.testing.assert_allclose(result.linear_after, result.chance[0], atol=1e-6)
    np.testing.assert_allclose(result.linear_after, result.accuracy[0])
    assert (result.accuracy[2] > 0.9).all()
    assert abs(result.control.mean() - 0.5) < 0.3
    assert (result.rank == np.array([[1, 1], [1, 1], [1, 1], [10, 10]])).all()


def test_what_an_erasure_costs_stands_beside_it(result: EraseResult) -> None:
    assert (result.kl > 0).all()
    assert np.isfinite(result.loss_increase).all()
    assert result.concept_kl[0] > 2 * result.concept_kl[2]  # it does something where it should
    assert result.n_neutral > 50
    assert (result.moved[0] > 0).all()


def test_three_classes_need_two_directions(stories: Loaded) -> None:
    result = api.run("erase", stories, classes=DAYS, layers=[2], shrinkage=0.2)
    assert result.classes == ("first", "second", "third")
    assert result.rank[0, 0] == 2
    assert result.linear_before[0] > 0.9
    assert result.linear_after[0] == pytest.approx(result.chance[0], abs=1e-6)
    assert result.left.shape == (1, 2, 64)


def test_an_encoder_without_predictions_of_next_tokens_is_erased_too(tiny) -> None:  # type: ignore[no-untyped-def]
    m = api.load(tiny("bert"))
    pairs = [(f"the {a} sat", f"a {a} on it") for a in ("cat", "dog", "mat", "it", "on")]
    result = api.run("erase", m, pairs=pairs, layers=[0])
    assert result.linear_after[0] == pytest.approx(result.chance[0], abs=0.01)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "erasing needs a concept"),
        ({"concept": "happy/sad", "classes": DAYS}, "not both"),
        ({"classes": {"one": ["a"] * 4}}, "1 classes"),
        ({"classes": 3}, "classes= is a table"),
        ({"positive": ["a", "b"], "negative": ["c", "d"]}, "at least 4 of each class"),
        ({"concept": "happy/sad", "method": "magic"}, "no method 'magic'"),
        ({"concept": "happy/sad", "layers": [9]}, "layers 0 to 4"),
        ({"concept": "happy/sad", "shrinkage": 2}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_erased_is_refused_in_a_sentence(asked, says, stories: Loaded) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(api.Error, match=says):
        api.run("erase", stories, **asked)
