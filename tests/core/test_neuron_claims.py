"""Explanations of neurons against planted truth: what fires, what it causes, and the controls."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core import api
from core.analyses.scores import auc, aucs, best_threshold, f1, wilson
from core.analyses.strings import placed
from core.corpus.world.claims import claims
from core.models.loaded import Loaded
from core.results.explain_test import ExplainTest
from core.spec import claims as shipped
from tests.core.planted_words import planted, words

SITE = "L1.neuron[9]"


@pytest.fixture(scope="module")
def model(llama: Loaded) -> tuple[Loaded, list[str], list[str], str]:
    """(model, what the neuron fires on, other words, the word it writes)."""
    known = words(llama, 30)
    read, other, (write, default) = known[:8], known[8:20], known[20:22]
    return planted(llama, [(1, 9)], read, [write], 3.0, default), read, other, write


def ask(model: tuple[Loaded, list[str], list[str], str], at: str = SITE) -> ExplainTest:
    m, read, other, _ = model
    found = api.run(
        "explain_test",
        m,
        at=at,
        members=read,
        others=other,
        carriers=["{}", "the {}", "in {}"],
        frames=["the {}", "in {}"],
    )
    assert isinstance(found, ExplainTest)
    return found


def test_a_planted_neuron_is_recognised_and_shown_to_cause_what_it_writes(model) -> None:
    result = ask(model)
    assert result.score[0] == pytest.approx([1, 1, 1, 1])
    assert result.false_alarms == result.misses == ()
    assert dict(zip(result.conditions, result.efficacy, strict=True))["neuron"] == 1.0
    assert result.mean_shift[0] == pytest.approx(1.0, abs=0.15)
    assert len(result.pairs) > 20
    written = f" {model[3]}"
    assert all(written in pair[2:] for pair in result.pairs)


def test_random_neurons_and_shuffled_membership_stay_near_the_floor(model) -> None:
    result = ask(model)
    assert result.n_random == len(result.random_score) == 20
    assert np.nanmean(result.random_score[:, 3]) < 0.75
    assert np.nanmean(result.shuffled_score[:, 3]) == pytest.approx(0.5, abs=0.15)
    assert result.efficacy[-1] < 0.05
    assert abs(result.mean_shift[-1]) < 0.1


def test_another_neuron_of_the_layer_is_refuted_and_the_right_one_named(model) -> None:
    result = ask(model, "L1.neuron[10]")
    assert result.efficacy[0] < 0.1
    assert result.better[0] == SITE
    assert result.better_auc[0] == pytest.approx(1.0)


def test_the_whole_layer_is_the_ceiling(model) -> None:
    result = ask(model)
    ceiling = dict(zip(result.conditions, result.efficacy, strict=True))
    assert ceiling["mlp_out"] == ceiling["resid_post"] == 1.0
    assert result.mean_shift[2] == pytest.approx(1.0, abs=1e-3)


def test_a_neuron_that_fires_downwards_is_taken_with_its_sign(model) -> None:
    m, read, other, _ = model
    result = api.run("explain_test", m, at=SITE, members=other[:8], others=read)
    assert result.sign == -1
    assert result.score[0, 3] == 1.0


def test_values_are_those_of_the_strings_last_token(stories: Loaded) -> None:
    carrier, string = "Tom saw a {}", "little dog"
    ids, place = placed(stories, carrier + " there", string)
    assert len(ids) == place + 1
    result = api.run(
        "explain_test",
        stories,
        at="L2.neuron[5]",
        members=[string, "cat", "bird", "cow"],
        others=["red", "big", "in", "blue"],
        carriers=[carrier],
    )
    seen = api.trace(stories, "Tom saw a little dog", ["L2.neuron[5]"])["L2.neuron[5]"]
    assert result.value[0, 0] == pytest.approx(seen[-1], rel=1e-4, abs=1e-5)


def test_the_halves_that_choose_and_that_score_share_no_string(model) -> None:
    result = ask(model)
    member, held = result.member, result.held
    assert 0 < (held & member).sum() < member.sum()
    assert set(result.misses) | set(result.false_alarms) <= set(np.array(result.strings)[held])


def test_the_last_layer_in_front_of_the_last_token_is_not_called_without_effect(
    stories: Loaded,
) -> None:
    result = api.run(
        "explain_test",
        stories,
        at="L4.neuron[5]",
        members=["dog", "cat", "bird", "cow"],
        others=["big", "red", "sad", "old"],
        frames=["The {} was"],
    )
    assert result.pairs == ()
    assert "reaches no prediction" in result.skipped[0]
    assert np.isnan(result.efficacy[0])


def test_pairs_of_ones_own_are_taken_with_their_continuations(model) -> None:
    m, read, other, write = model
    pairs = [(f"the {other[0]}", f"the {read[0]}", words(m, 22)[21], write)]
    result = api.run("explain_test", m, at=SITE, members=read, others=other, pairs=pairs)
    assert result.pairs[0][:2] == pairs[0][:2]
    assert result.efficacy[0] == 1.0
    wrong = [(pairs[0][0], pairs[0][1], write, words(m, 22)[21])]
    refused = api.run("explain_test", m, at=SITE, members=read, others=other, pairs=wrong)
    assert "does not prefer" in refused.skipped[0]


@pytest.mark.parametrize("family", ["bert", "t5", "opt", "gemma2", "bloom"])
def test_every_kind_of_model_is_observed(family: str, tiny: Callable[[str], Path]) -> None:
    m = api.load(tiny(family), device="cpu")
    at = "enc.L1.neuron[3]" if family == "t5" else "L1.neuron[3]"
    result = api.run(
        "explain_test",
        m,
        at=at,
        members=["cat", "dog", "Tom", "house"],
        others=["in", "the", "two", "all"],
        carriers=["the {} sat", "a {}"],
        frames=["the {} and"],
    )
    assert np.isfinite(result.value).all()
    assert (family == "bert") == ("does not continue" in " ".join(result.skipped))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"at": "L1.head[2]"}, "no single neuron"),
        ({"at": "L1.neuron"}, "no single neuron"),
        ({"at": "L99.neuron[1]"}, "layers 0 to"),
        ({"explanation": "quarks"}, "no strings are known"),
        ({"members": ["a", "b"], "others": ["c", "d"]}, "at least 4 of each"),
        ({"explanation": "weekdays", "carriers": ["no place"]}, "exactly once"),
        ({"explanation": "weekdays", "frames": ["{} {}"]}, "exactly once"),
        ({"explanation": "weekdays", "pairs": [("one",)]}, "a pair is"),
        ({"explanation": "weekdays", "most_pairs": 10**6}, "between 0 and"),
        ({"members": ["x" * 500, "b", "c", "d"], "others": list("efgh")}, "characters"),
    ],
)
def test_bad_input_is_one_sentence(stories: Loaded, options: dict, said: str) -> None:
    with pytest.raises(api.Error, match=said):
        api.run("explain_test", stories, **{"at": "L1.neuron[2]", **options})


def test_experts_have_no_neurons_to_explain(tiny: Callable[[str], Path]) -> None:
    m = api.load(tiny("mixtral"), device="cpu")
    with pytest.raises(api.Error, match="experts"):
        api.run("explain_test", m, at="L1.neuron[2]", explanation="weekdays")


# --- scores --------------------------------------------------------------------------------


def test_scores_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import f1_score, roc_auc_score

    drawn = np.random.default_rng(0)
    for _ in range(20):
        value, member = drawn.normal(size=40).round(1), drawn.random(40) < 0.4
        assert auc(value, member) == pytest.approx(roc_auc_score(member, value))
        assert aucs(value[:, None], member)[0] == pytest.approx(auc(value, member))
        edge = best_threshold(value, member)
        best = max(f1_score(member, value > x) for x in np.unique(value) - 1e-9)
        assert f1(value > edge, member) == pytest.approx(best)


def test_the_interval_of_a_share_is_wilsons() -> None:
    from scipy.stats import binomtest

    for hits, n in ((0, 5), (3, 10), (97, 100), (8, 8)):
        wanted = binomtest(hits, n).proportion_ci(method="wilson")
        assert wilson(hits / n, n) == pytest.approx((wanted.low, wanted.high), abs=1e-6)


# --- built-in claims -----------------------------------------------------------------------


def test_the_built_in_claims_are_those_of_the_world() -> None:
    assert shipped._read() == claims()


@pytest.mark.parametrize("said", ["weekdays", "The days of the week", "day", "WEEKDAY"])
def test_an_explanation_finds_its_built_in_set(said: str) -> None:
    found = shipped.word_set(said)
    assert found is not None
    assert found.name == "day"
    assert "Monday" in found.members
    assert not set(found.members) & set(found.others)


def test_no_built_in_set_is_found_for_another_explanation() -> None:
    assert shipped.word_set("") is None
    assert shipped.word_set("weekdays in winter") is None
