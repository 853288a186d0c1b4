"""Directions in a real browser: from a concept to a pushed text, an exported model, saved files."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core import api
from core.results.directions_file import unpack
from tests.e2e.harness import click_cell, element, wait_answers, wait_chart

pytestmark = pytest.mark.e2e


def press(page: Page, key: str) -> None:
    """The button with this key; a button with a tip stands on the page twice."""
    element(page, key).get_by_role("button").first.click()
    wait_answers(page)


def test_a_direction_is_pushed_and_the_text_follows(visit):
    page = visit("/directions?concept=gender&at=4&push=0.5")
    wait_chart(page, "direction_chart")
    expect(page.locator(".eido-card-head")).to_have_text("L4.resid_post")
    press(page, "tray_push")
    expect(element(page, "tray_head")).to_contain_text("(1)")
    page.get_by_role("link", name="Steer", exact=True).click()
    wait_answers(page)
    expect(page.locator(".st-key-texts section")).to_have_count(3)
    said = page.locator(".st-key-texts section").nth(1)
    expect(said).to_contain_text(re.compile(r"\b(he|his)\b"))


def test_a_cell_of_the_map_shows_its_texts_and_a_link_keeps_the_question(visit):
    page = visit("/directions?concept=gender&further=guide&judged=he, his")
    press(page, "guide_begin")
    wait_chart(page, "guide_chart")
    click_cell(page, "guide_chart", row=2, column=6)
    expect(element(page, "guide_texts")).to_contain_text("Texts at layer 2, strength +0.5")
    assert "judged=he" in page.url


def test_a_removal_is_written_as_a_model_that_opens(visit, server):
    page = visit("/directions?concept=gender&further=remove")
    press(page, "remove_begin")
    wait_chart(page, "remove_chart")
    field = element(page, "edited_name").get_by_role("textbox")
    field.fill("a journey")
    field.press("Enter")
    wait_answers(page)
    press(page, "edited_begin")
    written = element(page, "edited_panel").get_by_text("Written:")
    expect(written).to_be_visible()
    folder = Path(str(written.text_content()).partition("Written: ")[2].strip())
    assert (folder / "REPORT.md").is_file()
    assert api.load(folder).n_layers == 6


def test_directions_are_saved_and_opened_again(visit, tmp_path):
    page = visit("/directions?concept=gender&further=files")
    wait_chart(page, "direction_chart")
    with page.expect_download() as download:
        page.get_by_role("button", name="directions.safetensors").click()
    file = tmp_path / "directions.safetensors"
    download.value.save_as(file)
    assert unpack(file.read_bytes()).weights.shape == (6, 192)
    element(page, "directions_open").locator("input[type=file]").set_input_files(str(file))
    expect(page.get_by_text("opened: 6 directions of width 192")).to_be_visible()
    expect(page).to_have_url(re.compile("method=given"))


def test_own_texts_are_a_concept_that_a_link_restores(visit):
    page = visit("/directions")
    page.get_by_role("button", name="Write your own").click()
    page.get_by_label("Texts that have it, one a line").fill("the cat\nthe dog\nthe cow\nthe pig")
    page.get_by_label("Texts that have not; none").fill("the car\nthe bus\nthe train\nthe boat")
    page.get_by_role("button", name="Use these texts").click()
    expect(page).to_have_url(re.compile("concept=&own=1"))
    wait_chart(page, "direction_chart")
    again = visit("".join(page.url.partition("/directions")[1:]))
    wait_chart(again, "direction_chart")
    expect(again.get_by_text("my concept; 4 against 4")).to_be_visible()
