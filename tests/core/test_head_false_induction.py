"""Wrong examples: planted heads follow them and the answer comes back without them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core import api
from core.analyses.head_false_induction import head_false_induction, matching
from core.analyses.runs import Silent
from core.corpus.demonstrations import KINDS, demonstrations
from core.engine.forward import run
from core.engine.rows import rows
from core.figures import head_false_induction as drawn
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.models.tokens import decode
from core.results.base import read_parts
from core.results.head_false_induction import HeadFalseInduction
from core.spec.errors import Error
from core.spec.site import Site
from tests import planted_heads
from tests.core.head_models import Model, model

__all__ = ["model"]  # a fixture


@pytest.fixture(scope="module")
def embedded() -> Loaded:
    return api.load("embedded", device="cpu")


PLANTED = {"P1": planted_heads.GPT2_INDUCTION, "P2": planted_heads.LLAMA_INDUCTION}


def asked(loaded: Loaded, **options: Any) -> HeadFalseInduction:
    return head_false_induction(loaded, Silent(), **{"source": "random", "n_prompts": 6, **options})


@pytest.mark.parametrize("name", PLANTED)
def test_the_planted_head_follows_wrong_examples_and_no_other_does(name: str, model: Model) -> None:
    found, head = asked(model(name), k=1, n_prompts=24), PLANTED[name]
    assert found.score[head] > 0.99
    assert np.abs(found.control[head]) < 0.1
    others = np.delete(found.score.ravel(), head[0] * 4 + head[1])
    assert np.abs(others).max() < 0.2  # one looks at the label in front of the question
    assert found.chosen.tolist() == [list(head)]
    assert (found.accuracy_true[0], found.accuracy_false[0]) == (1, 0)
    assert found.margin_reduction[0] > 0.3
    assert np.abs(found.margin_reduction[1:]).max() < 0.05
    assert found.accuracy_false[1] > 0
    assert (found.gap_reduction[1:] == 0).all()


def test_heads_are_chosen_on_other_prompts_than_they_are_tried_on(model: Model) -> None:
    found = asked(model("P1"), k=2, n_prompts=5)
    assert (found.n_prompts, found.n_chosen_on, found.n_tested) == (5, 2, 3)
    assert len(found.accuracy_true) == 1 + 1 + found.n_random
    none = asked(model("P1"), k=0)
    assert none.n_tested == none.n_random == 0
    assert none.gap_reduction.size == 0
    with pytest.raises(Error, match="no heads were silenced"):
        drawn.figure(none, Look(), view="ablation")


def test_prompts_differ_in_their_labels_alone_and_teach_one_rule(stories: Loaded) -> None:
    made = demonstrations(stories, "random", 8, 20, 3)
    for one in made.asked:
        true, false, shuffled = (one.ids[kind] for kind in KINDS)
        differ = [at for at in range(len(true)) if true[at] != false[at]]
        assert differ == list(one.places)
        rule = dict(zip(one.shown["true"], one.shown["false"], strict=True))
        pairs = zip(one.shown["true"], one.shown["false"], strict=True)
        assert all(rule[right] == wrong != right for right, wrong in pairs)
        assert rule[one.true] == one.false
        assert sorted(one.shown["shuffled"]) == sorted(one.shown["false"])
        for kind, ids in zip(KINDS, (true, false, shuffled), strict=True):
            said = [one.labels[number] for number in one.shown[kind]]
            assert [ids[at] for at in one.places] == said


def test_things_come_with_their_kind_and_the_question_is_new(embedded: Loaded) -> None:
    made = demonstrations(embedded, "categories", 6, 20, 0)
    for one in made.asked:
        text = decode(embedded, list(one.ids["true"]))
        things = [line.partition(":")[0].strip() for line in text.split("\n")]
        assert len(set(things)) == len(things) == made.n_examples + 1
        assert text.rstrip().endswith(":")
        labels = [decode(embedded, [one.ids["true"][at]]).strip() for at in one.places]
        assert set(labels) <= set(made.names)


def test_a_score_is_attention_to_wrong_labels_less_that_to_others(stories: Loaded) -> None:
    found = asked(stories, n_prompts=2, k=0)
    made = demonstrations(stories, "random", 2, 20, 0)
    wanted = []
    for one in made.asked:
        text = rows(stories, [one.ids["false"]])
        seen = run(stories, text, read=[Site(2, "pattern")], logits="none").values
        on = seen[Site(2, "pattern")][0, :, -1, list(one.places)]
        same = torch.tensor([number == one.false for number in one.shown["false"]])
        wanted.append(on[:, same].sum(1) - on[:, ~same].sum(1) / 3)
    np.testing.assert_allclose(found.score[2], torch.stack(wanted).mean(0), atol=1e-5)


def test_attention_spread_evenly_over_labels_scores_nothing() -> None:
    same = torch.tensor([True, False, False, False])
    assert float(matching(torch.full((1, 4), 0.25), same, 4)) == pytest.approx(0)
    assert float(matching(torch.tensor([[1.0, 0, 0, 0]]), same, 4)) == 1
    assert float(matching(torch.tensor([[0.0, 1, 0, 0]]), same, 4)) == pytest.approx(-1 / 3)


def test_a_short_context_gets_fewer_examples(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    from tests.tiny import make

    loaded = api.load(make("gpt2", tmp_path / "short", n_positions=24), device="cpu")
    made = demonstrations(loaded, "random", 2, 20, 0)
    assert made.n_examples == 8
    assert all(len(one.ids["true"]) <= 24 for one in made.asked)
    shorter = api.load(make("gpt2", tmp_path / "shorter", n_positions=12), device="cpu")
    with pytest.raises(Error, match="context is too short"):
        demonstrations(shorter, "random", 2, 20, 0)


def test_what_cannot_be_asked_is_refused_with_a_sentence(
    model: Model, tiny: Callable[[str], Path]
) -> None:
    for options, words in (
        ({"source": "emails"}, "categories or random"),
        ({"n_prompts": 0}, "from 2 to 500"),
        ({"k": -1}, "from 0 to 100"),
        ({"source": "categories"}, "use source='random'"),
    ):
        with pytest.raises(Error, match=words):
            asked(model("P1"), **options)
    for family in ("bert", "t5"):
        with pytest.raises(Error, match="does not continue a text"):
            asked(api.load(tiny(family), device="cpu"))


@pytest.mark.parametrize("name", ["gpt2", "bloom", "gemma2", "gpt_neo", "mixtral"])
def test_families_answer_and_a_saved_answer_is_the_same(
    name: str, model: Model, tmp_path: Path
) -> None:
    found = asked(model(name), n_prompts=2, n_examples=8, k=2)
    _, arrays, labels = read_parts(found.save(tmp_path))
    again = HeadFalseInduction.build(arrays, labels)
    assert again.labels() == found.labels()
    np.testing.assert_array_equal(again.score, found.score)
    assert len(found.to_frame()) == found.score.size


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("view", drawn.VIEWS)
def test_every_view_is_drawn_with_its_control(view: str, dark: bool, model: Model) -> None:
    found = asked(model("P1"), k=1)
    fig = drawn.figure(found, Look(dark=dark), view=view)
    assert fig.layout.xaxis.title.text
    assert "in no order" in drawn.caption(found)
    assert "others 0%" in drawn.title(found)
    if view == "ablation":
        _, kept, without = fig.data
        np.testing.assert_array_equal(kept.x, [1, 0])
        assert without.x[1] > 0
