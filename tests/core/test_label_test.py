"""A typed label tested: the right one passes, a wrong one does not, and who is tested is fair."""

from dataclasses import replace

import numpy as np
import pytest

from core import api
from core.figures.table import caption, figure, title
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.label_test import LabelTest
from core.spec.errors import Error
from tests.core.test_feature_label import ANIMALS, OTHERS, VERBS, planted


def one_noun_each(n: int = 300) -> list[str]:
    drawn = np.random.default_rng(3)
    return [
        f"Then the {drawn.choice(ANIMALS if number % 2 else OTHERS)} was at the lake. It was a "
        f"{'bad' if drawn.random() < 0.5 else 'good'} day and she {drawn.choice(VERBS)} it."
        for number in range(n)
    ]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return planted(api.load("embedded", device="cpu"))[0]


@pytest.fixture(scope="module")
def results(model: Loaded, tmp_path_factory: pytest.TempPathFactory) -> dict[str, LabelTest]:
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EIDOSCOPE_HOME", str(tmp_path_factory.mktemp("home")))
        for label, members in (("dog, cat, bird, fox, frog", ANIMALS), ("colour", ())):
            found[label] = api.run(
                "label_test", model, dictionary="planted", feature=0, label=label,
                members=members, corpus=one_noun_each(),
            )  # fmt: skip
    return found


@pytest.fixture(scope="module")
def right(results: dict[str, LabelTest]) -> LabelTest:
    return results["dog, cat, bird, fox, frog"]


@pytest.fixture(scope="module")
def wrong(results: dict[str, LabelTest]) -> LabelTest:
    return results["colour"]


def test_the_right_label_passes_and_a_wrong_one_does_not(
    right: LabelTest, wrong: LabelTest
) -> None:
    assert right.auc >= 0.75
    assert right.auc_low <= right.auc <= right.auc_high
    assert wrong.auc <= 0.6
    assert right.f1 == 1.0
    assert wrong.f1 == 0.0
    assert wrong.members[0] == "red"  # a built-in list of that name
    assert right.surprisal > wrong.surprisal
    assert abs(np.mean(right.control_auc) - 0.5) < 0.15
    np.testing.assert_array_equal(right.control_auc, wrong.control_auc)


def test_contexts_are_what_their_kind_says(right: LabelTest) -> None:
    fires = np.nan_to_num(right.activation).max(axis=1) > 0
    np.testing.assert_array_equal(fires, right.active)
    assert right.active.sum() == 50
    assert (~right.active).sum() == 50
    assert right.kind.count("hard") >= 10
    assert [right.kind.count(f"tenth {n}") for n in range(1, 11)] == [5] * 10
    at_peak = right.activation[np.arange(100), right.peak]
    assert (at_peak[:50] > 0).all()
    for tokens, active in zip(right.tokens, right.active, strict=True):
        assert any(word in "".join(tokens) for word in ANIMALS) == active


def test_a_blind_test_is_half_and_half_and_marks_are_scored(right: LabelTest) -> None:
    assert len(set(right.blind.tolist())) == 10
    truth = right.active[right.blind]
    assert truth.sum() == 5
    share, low, high = right.marked(truth.tolist())
    assert share == 1.0
    assert low == pytest.approx(0.7225, abs=1e-3)  # Wilson, 10 of 10
    assert high == pytest.approx(1.0)
    assert right.marked((~truth).tolist())[0] == 0.0
    assert right.marked([True] * 10)[0] == 0.5
    with pytest.raises(Error, match="3 marks for 10 contexts"):
        right.marked([True] * 3)


def test_each_round_has_one_that_is_odd(right: LabelTest) -> None:
    active = right.active[right.rounds]
    assert (active.sum(axis=1) == 4).all()
    np.testing.assert_array_equal((~active).argmax(axis=1), right.odd)
    assert len(set(right.odd.tolist())) > 1
    assert right.odd_share > 0.4 > right.odd_low - 0.6


def test_too_few_contexts_are_no_score(model: Loaded) -> None:
    result = api.run(
        "label_test", model, dictionary="planted", feature=0, label="animal",
        corpus=one_noun_each(40),
    )  # fmt: skip
    assert not result.enough
    assert np.isnan(result.auc)
    assert "a score needs 30" in result.missing[0]
    assert "not tested" in title(result)
    silent = api.run(
        "label_test", model, dictionary="planted", feature=2, label="animal",
        corpus=one_noun_each(40),
    )  # fmt: skip
    assert silent.n_active == 0
    assert not silent.active.any()
    assert figure(silent) is not None


def test_it_is_drawn_with_control_and_sample(right: LabelTest) -> None:
    assert all(len(figure(right, Look(dark=dark)).data) == 2 for dark in (False, True))
    assert "random words" in title(right)
    assert "random word" in caption(right)
    assert "50 contexts" in caption(right)
    hostile = replace(right, label="<b>x</b>")
    assert "<b>" not in (figure(hostile).layout.title.text or "")
