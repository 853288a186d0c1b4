"""Transfer between planted sets and layers: shared, turned, other directions, and false alarms."""

import re

import numpy as np
import pytest
import torch

from core import api
from core.analyses.runs import Silent
from core.analyses.transfer import Task, measured
from core.figures import transfer as drawing
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.transfer import Transfer
from core.spec.errors import Error
from tests.core.conftest import STORIES

N, D = 160, 16
LABEL = np.arange(N) % 2
TASK = Task(LABEL, np.arange(N), np.arange(N) // 2 % 4)


def states(directions: np.ndarray, seed: int, offset: float = 0.0) -> torch.Tensor:
    """[layer, item, d] of noise, its classes three spreads apart along directions [layer, d]."""
    rng = np.random.default_rng(seed)
    apart = 3 * (LABEL - 0.5)[None, :, None] * directions[:, None]
    return torch.tensor(rng.normal(size=(len(directions), N, D)) + apart + offset).float()


def along(*channels: int) -> np.ndarray:
    """Unit directions, one a layer; a negative number is turned round."""
    return np.stack([np.sign(c) * np.eye(D)[abs(c)] for c in channels])


def answers(found: list[torch.Tensor], method: str = "lda") -> dict[str, np.ndarray]:
    return measured(found, [TASK] * len(found), method, 1.0, 0, Silent())


@pytest.mark.parametrize("method", ["lda", "logistic", "difference"])
def test_a_shared_direction_transfers_a_turned_one_turns_and_another_does_not(method: str) -> None:
    sets = [states(along(c), seed) for seed, c in enumerate((1, 1, -1, 5))]
    found = answers(sets, method)
    auc = found["auc"][..., 0]
    assert np.diag(auc).min() > 0.9
    assert auc[0, 1] > 0.9
    assert auc[1, 0] > 0.9
    assert auc[0, 2] < 0.1
    assert abs(auc[0, 3] - 0.5) < 0.2
    assert found["cosine"][0, 0, 1] > 0.6
    assert found["cosine"][0, 0, 2] < -0.6
    assert abs(found["control_auc"].mean() - 0.5) < 0.1


def test_a_set_that_lies_elsewhere_is_read_once_it_is_centred() -> None:
    found = answers([states(along(1), 0), states(along(1), 1, offset=20.0)], "difference")
    assert found["auc"][0, 1, 0] > 0.9
    assert found["accuracy"][0, 1, 0] > 0.85
    assert found["accuracy_plain"][0, 1, 0] < 0.6


def test_what_two_sets_have_in_common_is_learned_from_both() -> None:
    # Truth and the name of what is true: the name turns round, as with cities and negated cities.
    truth, name = along(1)[0], along(2)[0]
    sets = [states((truth + 2 * turn * name)[None], n) for n, turn in enumerate((1, -1, 0))]
    found = answers(sets, "difference")
    assert found["auc"][0, 1, 0] < 0.4
    assert found["others_auc"][2, 0] > 0.9


def test_a_code_that_turns_at_a_layer_is_two_blocks() -> None:
    found = answers([states(along(1, 1, 7, 7), 0), states(along(1, 1, 7, 7), 1)])
    block = found["layer_auc"][0]
    assert block[:2, :2].min() > 0.9
    assert block[2:, 2:].min() > 0.9
    assert abs(block[:2, 2:] - 0.5).max() < 0.25
    assert abs(found["control_layer_auc"].mean() - 0.5) < 0.1
    own = np.diagonal(found["auc"], axis1=0, axis2=1)[:, 0]
    np.testing.assert_allclose(np.diag(block), own, atol=1e-6)


@pytest.fixture(scope="module")
def result() -> Transfer:
    m: Loaded = api.load(STORIES, device="cpu")
    sets = ["truth of sums", "plural", "past tense", "animals"]
    found = api.run("transfer", m, sets=sets, folds=3)
    assert isinstance(found, Transfer)
    return found


def test_sets_of_one_topic_stand_together(result: Transfer) -> None:
    assert result.topics == ("words", "words", "words", "truth")
    assert result.sets[-1] == "truth of sums"
    assert result.auc.shape == (4, 4, 6)
    assert result.control_auc.shape == (20, 4, 4, 6)
    assert result.layer_auc.shape == (4, 6, 6)
    assert result.others_auc.shape == (4, 6)
    row = result.best_layer
    assert result.auc[0, 0, row] > 0.8
    assert (result.auc_low <= result.auc + 1e-6).all()


def test_one_axis_of_texts_is_not_called_beyond_chance() -> None:
    # The tested set differs along one axis only: every direction gives an AUC near 0 or 1.
    axis = np.eye(D)[3]
    only = torch.tensor(0.001 * np.random.default_rng(5).normal(size=(1, N, D))).float()
    only = only + torch.tensor(10 * np.outer(LABEL - 0.5, axis)).float()
    found = answers([states(along(1), 0), only])
    assert abs(found["auc"][0, 1, 0] - 0.5) > 0.4
    fields = {"low": found["auc_low"], "high": found["auc_high"]}
    assert abs(fields["low"][0, 1, 0] - 0.5) > 0.3
    spread = np.quantile(found["control_auc"][:, 0, 1, 0], (0.05, 0.95))
    assert spread[0] < 0.1
    assert spread[1] > 0.9


def test_the_figures_say_the_numbers_and_bracket_chance(result: Transfer) -> None:
    row = result.best_layer
    for look in (Look(), Look(dark=True)):
        fig = drawing.figure(result, look)
        np.testing.assert_allclose(np.array(fig.data[0].z, float), result.auc[:, :, row], atol=1e-6)
        clear = result.beyond(row)
        shown = np.array(fig.data[0].text)
        assert [text.startswith("(") for text in shown.ravel()] == (clear == 0).ravel().tolist()
        drawing.curves(result, look, train=1)
        drawing.across(result, look, chosen=2)
    assert re.search(r"of 12 pairs beyond chance", drawing.title(result))
    assert "shuffled 20 times" in drawing.caption(result)
    assert "4 sets" in drawing.caption(result)


def test_what_cannot_be_asked_is_refused() -> None:
    m: Loaded = api.load(STORIES, device="cpu")
    for sets, said in (
        (["plural"], "two to 16"),
        ("plural", "two to 16"),
        (["plural", "plural"], "same name"),
        (["plural", "none"], "no labelled set 'none'"),
    ):
        with pytest.raises(Error, match=said):
            api.run("transfer", m, sets=sets)
    with pytest.raises(Error, match="no probe 'svm'"):
        api.run("transfer", m, sets=["plural", "animals"], method="svm")
