"""The page Neurons as a visitor of the tests reads and touches it, with the real engine."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

from core.home import EMBEDDED
from core.spec.request import ModelRef
from core.spec.workspace import Selection, TrayItem, Workspace
from tests.pages import fake
from tests.pages.fake import field, htmls, notes, query, settled

SMALL = "embedded-small"  # no gate
STORIES = str(Path(__file__).resolve().parents[1] / "data" / "models" / "stories260k")  # gated
PATIENCE = 90.0  # seconds; a busy machine is slow, not wrong
built = pytest.mark.skipif(
    not (EMBEDDED / SMALL / "config.json").exists(), reason=f"assets/models/{SMALL} is not built"
)


def opened(
    model: str = SMALL,
    prompt: str = "The cat sat",
    selection: Selection = Selection(),  # noqa: B008  it is frozen
    tray: tuple[TrayItem, ...] = (),
    **choices: str,
) -> AppTest:
    """The page in this state. Without a choice the tab is open that asks nothing."""
    state = Workspace((ModelRef(model),), prompt, selection, tray)
    for name, value in ({"about": "models"} | choices).items():
        state = state.with_choice(name, value)
    return fake.visit("neurons", query(state), seconds=PATIENCE)


def faults(at: AppTest) -> list[str]:
    """The sentences about what is not possible; never one about a fault of the program."""
    found = [note for note in notes(at) if "eido-error" in note]
    assert "Something went wrong" not in " ".join(found)
    return found


def card(at: AppTest) -> str:
    """The site in the head of the card."""
    heads = [re.search(r"<b>((?:enc\.)?L\d+\.neuron\[\d+\])</b>", body) for body in htmls(at)]
    return next(head[1] for head in heads if head)


def table(at: AppTest, key: str) -> pd.DataFrame:
    (found,) = [frame for frame in at.dataframe if frame.key == key]
    return found.value


def charts(at: AppTest) -> set[str]:
    """The names of the figures on the page."""
    return {
        str(chart.proto.id).rpartition("-")[2].removesuffix("_chart")
        for chart in at.get("plotly_chart")
    }


def click_row(at: AppTest, key: str, row: int) -> AppTest:
    """Choose a row of a table, as the browser tells it."""
    (found,) = [frame for frame in at.dataframe if frame.key == key]
    states = at._tree.get_widget_states()
    selection = {"selection": {"rows": [row], "columns": [], "cells": []}}
    states.widgets.append(WidgetState(id=found.proto.id, string_value=json.dumps(selection)))
    return settled(at._run(states), PATIENCE)


def press(at: AppTest, key: str) -> AppTest:
    at.button(key=key).click()
    return settled(at, PATIENCE)


def choose(at: AppTest, key: str, value: object) -> AppTest:
    field(at, key).set_value(value)
    return settled(at, PATIENCE)


def paste(at: AppTest, text: str) -> AppTest:
    at.text_area(key="corpus_text").set_value(text)
    at.button(key="FormSubmitter:corpus_form-Use this text").click()
    return settled(at, PATIENCE)
