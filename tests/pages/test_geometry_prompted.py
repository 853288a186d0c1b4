"""Geometry's questions about a text, with the real engine: drawn, chosen, refused in a sentence."""

import pytest
from streamlit.testing.v1 import AppTest

from core.home import EMBEDDED
from core.spec.request import ModelRef
from core.spec.workspace import Workspace
from pages.shared.sections import geometry_graph, geometry_local_map, geometry_trajectories
from tests.pages.fake import field, notes, query, settled, texts, visit, work

SMALL = "embedded-small"
pytestmark = [
    pytest.mark.usefixtures("kept_answers"),
    pytest.mark.skipif(
        not (EMBEDDED / SMALL / "config.json").exists(), reason=f"assets/models/{SMALL} is missing"
    ),
]


def opened(question: str, prompt: str = "The cat sat", **choices: str) -> AppTest:
    state = Workspace((ModelRef(SMALL),), prompt)
    for name, value in {"geometry": "more", "furthest": question, **choices}.items():
        state = state.with_choice(name, value)
    return visit("geometry", query(state), seconds=60)


@pytest.mark.parametrize("view", ["tokens", "layers"])
def test_the_exact_split_of_the_prompts_answer_is_drawn(view: str) -> None:
    at = opened("local_map", viewed=view)
    assert notes(at) == []
    assert len(at.get("plotly_chart")) == 1
    assert geometry_local_map.TITLES[view] in texts(at)
    assert "miss the score by" in texts(at)


def test_the_maps_are_taken_apart_at_a_button_and_both_tokens_can_be_seen() -> None:
    at = opened("local_map", viewed="vectors")
    assert len(at.get("plotly_chart")) == 0
    at.button[[b.label for b in at.button].index("Take the maps apart")].click()
    at = settled(at, 60)
    assert len(at.get("plotly_chart")) == 1
    field(at, "choice_apart").set_value("strongest")
    at = settled(at)
    assert work(at).choice("apart") == "strongest"
    assert len(at.get("plotly_chart")) == 1


def test_an_answer_that_is_no_token_is_a_sentence() -> None:
    at = opened("local_map", answer="no such token at all")
    assert len(notes(at)) == 1
    assert "not one token" in notes(at)[0]


def test_a_walk_is_begun_at_a_button_and_seen_in_every_way() -> None:
    at = opened("graph", graph="ring", walked="100", silenced="yes")
    assert len(at.get("plotly_chart")) == 0
    at.button[[b.label for b in at.button].index("Begin to walk")].click()
    at = settled(at, 90)
    for view, title in geometry_graph.TITLES.items():
        field(at, "choice_viewed").set_value(view)
        at = settled(at)
        assert notes(at) == []
        assert len(at.get("plotly_chart")) == 1
        assert title in texts(at)


def test_words_that_are_no_tokens_are_named() -> None:
    at = opened("graph", graph="ring", nodes="dog, cat, sun, box, antidisestablishment")
    at.button[[b.label for b in at.button].index("Begin to walk")].click()
    at = settled(at)
    assert "antidisestablishme" in notes(at)[0]


def test_paths_of_the_prompt_and_of_several_texts_are_drawn() -> None:
    at = opened("trajectories")
    assert notes(at) == []
    assert "3 paths" in texts(at)
    at.button[[b.label for b in at.button].index("Capitals")].click()
    at = settled(at)
    assert "5 paths" in texts(at)
    for view in geometry_trajectories.WAYS:
        field(at, "choice_viewed").set_value(view)
        at = settled(at)
        assert len(at.get("plotly_chart")) == 1
