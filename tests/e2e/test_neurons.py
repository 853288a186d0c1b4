"""Neurons in a real browser: from a concept to a neuron, its card, what it causes, and Steer."""

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e import steering
from tests.e2e.harness import click_cell, element, wait_answers, wait_chart, wait_idle

pytestmark = pytest.mark.e2e

STORIES = Path(__file__).resolve().parents[1] / "data" / "models" / "stories260k"


def head(page: Page) -> Locator:
    """The name of the neuron on the card."""
    return page.locator(".st-key-card_panel .eido-head b").first


def pick(page: Page, key: str, option: str) -> None:
    """Choose from a select box."""
    element(page, key).get_by_role("combobox").click()
    page.get_by_role("option", name=option, exact=True).click()
    wait_idle(page)


def search(page: Page, words: str) -> None:
    field = element(page, "find").get_by_role("textbox")
    field.fill(words)
    field.press("Enter")
    wait_idle(page)
    wait_answers(page)
    wait_chart(page, "search_chart")


def tab(page: Page, name: str) -> None:
    """Open one of the questions below the card."""
    element(page, "choice_about").get_by_role("radio", name=name, exact=True).click()
    wait_idle(page)
    wait_answers(page)


def walk_by_keys(page: Page, here: str, then: str) -> None:
    """The next neuron and back, the guide, and the search, in which keys are letters."""
    page.keyboard.press("n")
    expect(head(page)).to_have_text(then)
    page.keyboard.press("p")
    expect(head(page)).to_have_text(here)
    page.keyboard.press("?")
    expect(page.get_by_text("A neuron is one unit of an MLP")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    field = element(page, "find").get_by_role("textbox")
    expect(field).to_be_focused()
    before = field.input_value()
    page.keyboard.press("n")
    expect(field).to_have_value("n")
    field.fill(before)
    page.locator("h1").click()
    wait_answers(page)
    expect(head(page)).to_have_text(here)


def take_best(page: Page) -> str:
    """Put the best usable strength into the tray; returns it as the tray shows it."""
    wait_chart(page, "effects_chart")
    page.get_by_role("button", name="use it").first.click()
    wait_idle(page)
    add = element(page, "clamping_add").get_by_role("button").first
    add.click()
    expect(add).to_have_text("in the tray")
    value = steering.number(page, "clamp_0_value").input_value()
    assert value == element(page, "clamping_value").get_by_role("spinbutton").input_value()
    return str(value)


def test_from_a_concept_to_a_neuron_to_what_it_causes_to_steer_and_back(visit):
    page = visit("/neurons?about=models")
    wait_answers(page)
    pick(page, "choice_by", "fire on")
    search(page, "concept:day")
    expect(element(page, "search_panel")).to_contain_text("rotated marks reach F1")
    first = head(page).inner_text()
    expect(page).to_have_url(re.compile("by=fires.*find=concept"))

    click_cell(page, "search_chart", row=5, column=10)  # a cell is narrower than a pixel
    expect(head(page)).to_have_text(re.compile(r"L5\.neuron\[(9|10|11)\]"))
    here = head(page).inner_text().strip()
    neuron = int(here.partition("[")[2].rstrip("]"))
    assert first != here
    expect(page).to_have_url(re.compile(f"layer=5&neuron={neuron}"))
    wait_answers(page)
    expect(element(page, "values_panel")).to_contain_text(f"{here} on the prompt")

    walk_by_keys(page, here, f"L5.neuron[{neuron + 1}]")
    page.keyboard.press("k")
    expect(steering.tray(page)).to_contain_text(here)
    expect(element(page, "values_panel")).to_contain_text("without the clamps")
    element(page, "values_strip").get_by_role("option").nth(2).click()
    expect(page).to_have_url(re.compile("token=2"))
    wait_answers(page)

    tab(page, "What it causes")
    value = take_best(page)
    page.get_by_role("link", name="Steer", exact=True).click()
    expect(page).to_have_url(re.compile("/steer"))
    steering.wait_texts(page, *steering.RUNS)
    expect(steering.number(page, "clamp_0_value")).to_have_value(value)
    page.go_back()
    expect(head(page)).to_have_text(here)
    wait_answers(page)
    expect(element(page, "choice_about").locator("[aria-checked=true]")).to_have_text(
        "What it causes"
    )
    expect(steering.tray(page)).to_contain_text(here)


def test_a_gated_model_from_a_folder_is_searched_by_its_gates(visit):
    page = visit(f"/neurons?model={quote(str(STORIES))}&corpus=reference")
    wait_answers(page)
    pick(page, "choice_by", "open their gate for")
    search(page, "dog")
    expect(element(page, "search_panel")).to_contain_text("random tokens reach")
    expect(element(page, "card_panel")).to_contain_text("opens for")
    click_cell(page, "search_chart", row=4, column=5)
    expect(head(page)).to_have_text("L4.neuron[5]")
    page.keyboard.press("n")
    expect(head(page)).to_have_text("L4.neuron[6]")
    element(page, "near_0").get_by_role("button").first.click()
    expect(head(page)).not_to_have_text("L4.neuron[6]")
    wait_answers(page)
    tab(page, "Gate and up")
    wait_chart(page, "plane_chart")
    page.keyboard.press("k")
    expect(steering.tray(page)).to_contain_text(head(page).inner_text())


def test_texts_of_ones_own_stay_text_and_become_the_prompt(visit):
    page = visit("/neurons?corpus=reference")
    wait_answers(page)
    page.get_by_role("button", name="Own text").click()
    page.get_by_label("Texts, an empty line between two").fill(
        "<img src=x onerror=alert(1)> **b** [l](javascript:0)\n\n\u202eחתול the dog ran"
    )
    page.get_by_role("button", name="Use this text", exact=True).click()
    wait_answers(page)
    listed = element(page, "contexts").get_by_role("listitem")
    expect(listed.first).to_be_visible()
    assert page.locator("img[src='x'], a[href^='javascript']").count() == 0
    listed.filter(has_text="img").first.get_by_role("button").click()
    wait_answers(page)
    assert "<img" in element(page, "prompt").get_by_role("textbox").input_value()
    assert page.locator("img[src='x']").count() == 0


@pytest.mark.parametrize("width", [430, 1100, 1500])
def test_nothing_is_cut_off_at_any_width(visit, width):
    page = visit("/neurons?corpus=reference&find=dog&about=causes", width=width)
    wait_answers(page)
    wait_chart(page, "search_chart")
    over = page.evaluate(
        """() => {
          const main = document.querySelector('[data-testid="stMain"]');
          return [main.scrollWidth - main.clientWidth, document.body.scrollWidth - innerWidth];
        }"""
    )
    assert max(over) <= 0
    expect(head(page)).to_be_visible()
