"""Steer with the real engine on an embedded model: bad input is one sentence, the rest works."""

import numpy as np
import pytest
import streamlit as st

from core import analyses
from core.analyses.runs import Silent
from core.home import EMBEDDED
from core.spec.interventions import Ablate, Clamp, Scale
from core.spec.request import ModelRef, ask
from core.spec.site import site
from core.spec.workspace import TrayItem, Workspace
from pages.shared.sections.tours import TOURS
from pages.shared.sections.view import as_code
from tests.pages.fake import notes, query, settled, texts, visit

SMALL = "embedded-small"
pytestmark = pytest.mark.skipif(
    not (EMBEDDED / SMALL / "config.json").exists(), reason=f"assets/models/{SMALL} is not built"
)


@pytest.fixture(autouse=True)
def own_answers() -> None:
    st.cache_resource.clear()  # every visitor of a test run has the same session id


def opened(prompt: str = "The cat", *items: TrayItem, name: str = SMALL):
    return visit("steer", query(Workspace((ModelRef(name),), prompt, tray=items)))


def test_every_view_is_drawn_with_clamps_of_several_kinds():
    at = opened(
        "The cat sat",
        TrayItem(Clamp(site("L1.neuron[3]"), 2.0)),
        TrayItem(Scale(site("L0.mlp_out"), 0.5)),
        TrayItem(Ablate(site("L1.head[0]"), "mean")),
    )
    assert notes(at) == []
    assert len(at.get("plotly_chart")) == 5
    assert "L1.neuron[3] = 2" in texts(at)
    assert "× max" in texts(at)  # the slider found its unit by itself


@pytest.mark.parametrize(
    "prompt", ["", "word " * 20_000, "</s></s>"], ids=["empty", "100,000 characters", "special"]
)
def test_a_text_that_cannot_be_read_is_at_most_one_sentence(prompt):
    at = opened(prompt)
    said = [note for note in notes(at) if "eido-error" in note]
    assert len(said) <= 1
    assert "Something went wrong" not in " ".join(said)
    assert at.title[0].value == "Steer"


def test_a_site_no_check_of_the_page_knows_is_a_sentence_and_switching_it_off_heals():
    at = opened("The cat", TrayItem(Clamp(site("L1.gate[3]"), 1.0)))  # this model has no gate
    assert len(notes(at)) == 1
    assert "Something went wrong" not in notes(at)[0]
    at.button(key="tray_off").click()
    settled(at)
    assert notes(at) == []
    assert len(at.get("plotly_chart")) == 3


def test_a_feature_of_a_dictionary_the_model_has_not_is_left_out_and_said_so():
    at = opened("The cat", TrayItem(Clamp(site("L1.resid_post.feature[none:3]"), 1.0)))
    assert notes(at) == []
    assert "Left out. L1.resid_post.feature[none:3]: the model has no dictionary" in texts(at)


@pytest.mark.parametrize("name", ["/no/such/folder", "no such name", "../..", "x" * 500])
def test_a_model_that_does_not_exist_is_one_sentence(name):
    at = opened(name=name)
    said = " ".join(notes(at))
    assert said
    assert "Something went wrong" not in said
    assert at.get("plotly_chart") == []


@pytest.mark.parametrize(
    ("analysis", "options"),
    [
        ("next_tokens", {"k": 4}),
        ("lens", {"k": 3}),
        ("steer", {"new_tokens": 5}),
        ("dose", {"item": 0, "unit": 2.0}),
        ("head_effect", {"position": 2}),
    ],
)
def test_the_python_lines_of_a_view_compute_what_the_view_shows(analysis, options):
    changes = (Clamp(site("L1.neuron[3]"), 4.0), Ablate(site("L2.head[1]"), "mean"))
    model = ModelRef("embedded-small")
    request = ask(analysis, model, "The dog's “day”", interventions=changes, **options)
    lines: dict[str, object] = {}
    exec(as_code(request), lines)  # noqa: S102  our own lines, run as a notebook would
    shown = analyses.answer(request, Silent())
    found = lines["result"]
    assert found.request == shown.request
    for name, array in shown.arrays().items():
        np.testing.assert_allclose(found.arrays()[name], array, rtol=1e-3, atol=1e-5)


def test_the_tours_show_what_they_promise():
    def result(tour, analysis, **options):
        work = tour.work
        return analyses.answer(
            ask(analysis, work.models[0], work.prompt, interventions=work.active(), **options),
            Silent(),
        )

    settles, copies, feature = TOURS
    lens = result(settles, "lens")
    assert lens.top_ids[-1, -1, 0] == lens.top_ids[-2, -1, 0]
    assert lens.top_ids[0, -1, 0] != lens.top_ids[-1, -1, 0]
    heads = result(copies, "head_effect")
    chosen = copies.work.selection
    assert heads.effect[chosen.layer, chosen.head] == heads.effect.max()
    assert heads.effect.max() > 1 > heads.control[chosen.layer, chosen.head]
    clean, clamped, control = (text[:5] for text in result(feature, "steer").texts)
    assert clean == control != clamped
