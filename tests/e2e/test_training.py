"""Over training in a real browser: the slider moves the map, two checkpoints stand side by side."""

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.harness import element, wait_answers, wait_chart

pytestmark = pytest.mark.e2e

CELLS = """() => {
  const gd = document.querySelector('.st-key-over_training_heads_chart .js-plotly-plot');
  return JSON.stringify(Array.from(gd._fullData[0].z, (row) => Array.from(row)));
}"""


def read(page):
    element(page, "over_training_begin").get_by_role("button").first.click()
    wait_answers(page, timeout=180)
    wait_chart(page, "over_training_curves_chart")
    wait_chart(page, "over_training_heads_chart")


def test_the_slider_moves_through_training_and_opens_two_checkpoints(visit):
    page = visit("/compare?comparing=training")
    expect(page.get_by_text("embedded has no checkpoints beside it")).to_be_visible()
    page.get_by_role("button", name=re.compile(r"embedded-small, \d+ checkpoints")).click()
    expect(page).to_have_url(re.compile("model=embedded-small"))
    read(page)
    expect(element(page, "emerged")).to_contain_text("previous token")
    expect(element(page, "emerged")).to_contain_text("induction")
    before = page.evaluate(CELLS)
    page.get_by_role("slider", name="Checkpoint").press("ArrowLeft")
    expect(page).to_have_url(re.compile("moment=step-"))
    expect(
        page.get_by_role("button", name=re.compile("Compare step .* with the last"))
    ).to_be_visible()
    wait_chart(page, "over_training_heads_chart")
    page.wait_for_function(f"before => ({CELLS})() !== before", arg=before)
    for view in ("shared circuits", "neurons", "loss"):
        page.get_by_role("radio", name=view).click()
        key = {"shared circuits": "overlap"}.get(view, view)
        wait_chart(page, f"over_training_{key}_chart")
    page.get_by_role("button", name=re.compile("Compare step .* with the last")).click()
    expect(page).to_have_url(re.compile(r"model=embedded-small%2Fcheckpoints%2Fstep-\d+"))
    expect(page).to_have_url(re.compile(r"model_b=embedded-small(&|$)"))
    wait_answers(page, timeout=120)
    expect(page.get_by_text("Where they differ most")).to_be_visible()


def test_what_came_opens_the_heads_of_its_checkpoint_beside_the_last(visit):
    page = visit("/compare?comparing=training&model=embedded-small")
    read(page)
    line = element(page, "emerged").locator("[data-testid=stMarkdown]", has_text="induction").first
    expect(line).to_contain_text(re.compile(r"step [\d,]+: induction, L\d\.head\[\d\]"))
    door = element(page, "emerged").locator("a[href*='heads=induction']").first
    expect(door).to_have_attribute("href", re.compile(r"model=embedded-small%2Fcheckpoints"))
    door.click()
    expect(page).to_have_url(re.compile(r"/heads\?.*head=\d"))
    wait_answers(page, timeout=120)
    wait_chart(page, "head_map_chart")


def test_a_checkpoint_takes_slot_b_from_the_picker(visit):
    page = visit("/steer?model=embedded-small")
    wait_answers(page)
    element(page, "picker_B").get_by_role("button").first.click()
    page.get_by_role("combobox", name="Checkpoint of embedded-small").click()
    page.get_by_role("option").first.click()
    expect(page).to_have_url(re.compile(r"model_b=embedded-small%2Fcheckpoints%2Fstep-0"))
    wait_answers(page, timeout=120)
