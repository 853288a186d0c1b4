"""Labels of heads: planted heads get theirs, others none; rules, stages and catalogue agree."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core import api
from core.analyses.head_false_induction import head_false_induction
from core.analyses.runs import Silent
from core.models.loaded import Loaded
from core.results.head_types import LABELS, RULES, STAGE_CODES, HeadTypes
from core.spec.head_catalogue import STAGES, catalogue, stage_names, stage_of
from tests import planted_heads
from tests.core.test_head_causes import PLANTED, fresh
from tests.core.test_head_ranking import DOWN, UP, WRITER, writer
from tests.pages import head_cause_samples

__all__ = ["writer"]  # a fixture
REPEATS = [planted_heads.repeated_text(20, seed) for seed in range(12)]


@pytest.mark.parametrize("form", PLANTED)
def test_planted_heads_are_called_what_they_are(form: str, tmp_path: Path) -> None:
    m = fresh(getattr(planted_heads, form)(tmp_path / form))
    sources = ["repeats", "text", "weights"]
    result = api.run("head_types", m, corpus=REPEATS, sources=sources)
    assert isinstance(result, HeadTypes)
    previous, induction = PLANTED[form]
    assert "previous token" in result.labels_of(*previous)
    assert "induction" in result.labels_of(*induction)
    assert "copy" in result.labels_of(*induction)
    assert result.induction_cost[induction] > 2
    assert result.induction_cost[induction] > 50 * result.thresholds["induction/ablation"]
    assert result.fits[..., LABELS.index("induction")].sum() == 1
    assert result.fits[..., LABELS.index("previous token")].sum() == 1
    assert STAGE_CODES[result.stage[induction]] == "reasoning"
    score = "repeats/induction_stripe"
    assert result.percentile(score, *induction) == pytest.approx(7 / 8)
    assert result.nulls[f"{score}/untrained"] < 0.1


def test_a_model_without_induction_heads_gets_no_such_label(stories: Loaded) -> None:
    result = api.run("head_types", stories, sources=["repeats", "text"])
    assert isinstance(result, HeadTypes)
    assert result.fits[..., LABELS.index("induction")].sum() == 0
    assert np.isnan(result.induction_cost).all()
    # Measured elsewhere on stories: these two look one token back, the first most of all.
    for at in ((1, 3), (3, 6)):
        assert result.labels_of(*at)[0] == "previous token"
    assert set(result.tested) == {
        *("previous token", "current token", "duplicate token", "induction"),
        *("same word", "delimiter", "sink", "broad"),
    }


def test_what_a_model_does_not_have_is_noted_and_its_labels_are_not_given(
    tiny: Callable[[str], Path],
) -> None:
    m = api.load(tiny("bert"), device="cpu")
    result = api.run("head_types", m)
    assert isinstance(result, HeadTypes)
    assert result.sources == ("repeats", "text")
    assert {note.partition(":")[0] for note in result.notes} == {
        *("weights", "retrieval", "demonstrations", "importance"),
    }
    assert not {"retrieval", "copy", "successor", "induction"} & set(result.tested)
    assert not result.dormant.any()


def test_heads_that_write_the_concept_asked_for_are_called_so(
    writer: Loaded,
) -> None:
    concept = {"name": "listed", "positive": UP, "negative": DOWN}
    result = api.run("head_types", writer, sources=["repeats"], concept=concept)
    assert isinstance(result, HeadTypes)
    assert "writes concept" in result.labels_of(*WRITER)
    assert result.sources == ("repeats", "concept")
    first = result.fits[0, :, LABELS.index("writes concept")]
    assert first.sum() == 1
    assert 0.5 < result.nulls["concept/separation/random"] <= 1
    assert result.stage[WRITER] == 0 or "induction" in result.labels_of(*WRITER)
    without = api.run("head_types", writer, sources=["repeats"])
    assert isinstance(without, HeadTypes)
    assert "writes concept" not in without.tested


def test_wrong_examples_are_a_source_of_labels_where_kinds_of_things_are_tokens(
    stories: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.analyses import head_types as analysis

    def followed(loaded: Loaded, progress: object, **options: object) -> object:
        return head_false_induction(loaded, Silent(), source="random", n_prompts=24, k=0)

    monkeypatch.setattr(analysis, "head_false_induction", followed)
    result = api.run("head_types", stories, sources=["demonstrations"])
    assert isinstance(result, HeadTypes)
    assert result.tested == ("false induction",)
    # stories260K has no head that matches a prefix, so none that matches a wrong example.
    assert not result.fits.any()
    assert result.nulls["demonstrations/false_induction/unordered"] < 0.2


def test_importance_tells_dormant_sinks_from_those_at_work() -> None:
    from core.analyses.head_types import _dormant

    fits = np.zeros((2, 4, len(LABELS)), "uint8")
    fits[:, :2, LABELS.index("sink")] = 1
    importance = np.array([[0.9, 0.0, 0.1, 0.1], [0.0, 0.8, 0.1, 0.1]])
    assert _dormant(fits, importance).tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]
    assert not _dormant(fits, np.full((2, 4), np.nan)).any()


def test_the_widest_label_leads_but_never_one_that_another_explains() -> None:
    made = head_cause_samples.head_types()
    assert made.labels_of(4, 1) == ("induction", "copy")
    assert STAGE_CODES[made.stage[4, 1]] == "reasoning"
    assert made.strongest[0, 0] == -1
    both = (0, 3)
    fits, margin = made.fits.copy(), made.margin.copy()
    for label, width in (("previous token", 1.1), ("same word", 2.4)):
        fits[(*both, LABELS.index(label))] = 1
        margin[(*both, LABELS.index(label))] = width
    words = replace(made, fits=fits, margin=margin)
    assert words.labels_of(*both) == ("previous token", "same word")
    assert LABELS[words.strongest[both]] == "previous token"


def test_shares_of_stages_add_up_in_every_third_of_the_depth() -> None:
    share = head_cause_samples.head_types(7, 5).depth_share()
    assert share.shape == (3, len(STAGE_CODES))
    np.testing.assert_allclose(share.sum(axis=1), 1)


def test_every_rule_is_a_test_of_the_catalogue_or_has_no_stage() -> None:
    named = {each.tested_by for each in catalogue()} - {""}
    assert named <= set(LABELS)
    assert {rule.label for rule in RULES if rule.stage} == named
    assert stage_of("broad") == ""


def test_the_catalogue_covers_the_four_stages_and_says_where_types_come_from() -> None:
    types = catalogue()
    assert {each.stage for each in types} == set(STAGES) == set(stage_names())
    assert len({each.type for each in types}) == len(types) > 30
    for each in types:
        assert each.meaning
        assert each.test
        assert "(20" in each.paper  # a year
    unchecked = [each for each in types if not each.paper_checked]
    assert all("Survey" in each.paper for each in unchecked)


def test_sources_are_a_list_of_known_names(stories: Loaded) -> None:
    for sources in ("text", ["weights", "moon"], []):
        with pytest.raises(api.Error, match="sources= is a list"):
            api.run("head_types", stories, sources=sources)
