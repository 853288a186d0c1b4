"""Features in a real browser: the wall, a card, a label, Steer; a dictionary from a folder."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from core import api
from core.dictionaries.save import save
from tests.core.small_dictionaries import at_place
from tests.e2e import steering
from tests.e2e.harness import click_cell, element, wait_answers, wait_chart, wait_idle

pytestmark = pytest.mark.e2e

MANY = 65_536


def head(page: Page) -> Locator:
    """The address of the feature on the card."""
    return page.locator(".st-key-card_panel .eido-head b").first


def cards(page: Page) -> Locator:
    """The cards of the wall that hold something."""
    return page.locator(".st-key-wall_cards button.card:not(.empty)")


def card_at(page: Page, place: int) -> Locator:
    """The card with this number from the top, once it holds something."""
    return page.locator(f'.st-key-wall_cards button.card:not(.empty)[data-at="{place}"]')


def scroll_to_end(page: Page) -> None:
    page.locator(".st-key-wall_cards .view").evaluate("view => { view.scrollTop = 1e9; }")


def search(page: Page, words: str) -> None:
    field = element(page, "seek").get_by_role("textbox")
    field.fill(words)
    field.press("Enter")
    wait_idle(page)
    wait_answers(page)


def ready(page: Page) -> None:
    wait_answers(page)
    expect(cards(page).first).to_be_visible()


def test_from_the_wall_to_a_card_by_keys_into_steer_and_back_by_link(visit):
    page = visit("/features?dictionary=topk-L2")
    ready(page)
    scroll_to_end(page)
    expect(card_at(page, 2047)).to_be_visible()
    search(page, "dog")
    expect(card_at(page, 0)).to_contain_text(re.compile("dog", re.IGNORECASE))
    assert page.locator(".st-key-wall_cards .view").evaluate("view => view.scrollTop") == 0
    number = card_at(page, 0).locator("b").inner_text()
    card_at(page, 0).click()
    site = f"L2.resid_post.feature[topk-L2:{number}]"
    expect(head(page)).to_have_text(site)
    expect(card_at(page, 0)).to_have_attribute("aria-selected", "true")
    wait_answers(page)
    expect(element(page, "card_panel")).to_contain_text("of tokens")

    page.keyboard.press("n")
    expect(head(page)).to_have_text(f"L2.resid_post.feature[topk-L2:{int(number) + 1}]")
    page.keyboard.press("p")
    expect(head(page)).to_have_text(site)
    page.keyboard.press("/")
    expect(element(page, "seek").get_by_role("textbox")).to_be_focused()
    page.locator("h1").click()
    page.keyboard.press("k")
    expect(steering.tray(page)).to_contain_text(f"feature[topk-L2:{number}]")
    wait_answers(page)
    here = page.url

    page.get_by_role("link", name="Steer", exact=True).click()
    texts = steering.wait_texts(page, *steering.RUNS)
    assert texts["clamped"] != texts["clean"]
    again = visit(here.partition("/features")[1] + here.partition("/features")[2])
    expect(head(again)).to_have_text(site)
    expect(steering.tray(again)).to_contain_text(f"feature[topk-L2:{number}]")
    expect(element(again, "seek").get_by_role("textbox")).to_have_value("dog")


def test_a_label_of_ones_own_stands_on_the_wall(visit):
    page = visit("/features?dictionary=topk-L4&sorted=feature&feature=3")
    ready(page)
    element(page, "card_name_3_0").get_by_role("button").first.click()
    field = page.get_by_role("textbox", name="Your label")
    field.fill("<b>mine</b>")
    page.get_by_role("button", name="Keep", exact=True).click()
    expect(element(page, "card_panel")).to_contain_text("<b>mine</b> yours")
    expect(card_at(page, 3)).to_contain_text("<b>mine</b>")
    expect(card_at(page, 3)).to_contain_text("yours")


_EXTREME = """
([key, trace]) => {
  const data = document.querySelector(`.st-key-${key} .js-plotly-plot`)._fullData[trace];
  let best = 0;
  for (let i = 1; i < data.x.length; i++) if (data.y[i] > data.y[best]) best = i;
  return [data.x[best], data.y[best], data.customdata[best]];
}
"""


@pytest.mark.parametrize(("way", "trace"), [("map", 0), ("scatter", 1)])
def test_a_click_on_the_topmost_point_opens_its_feature(visit, way, trace):
    page = visit(f"/features?features={way}&dictionary=topk-L1")
    wait_answers(page)
    key = {"map": "feature_map_chart", "scatter": "scatter_chart"}[way]
    wait_chart(page, key)
    x, y, feature = page.evaluate(_EXTREME, [key, trace])
    click_cell(page, key, row=y, column=x, trace=trace)
    expect(head(page)).to_have_text(f"L1.resid_post.feature[topk-L1:{feature}]")


def test_a_click_on_a_cell_of_my_text_opens_its_feature_at_its_token(visit):
    page = visit("/features?features=text&dictionary=topk-L1")
    wait_answers(page)
    wait_chart(page, "my_text_chart")
    feature, token = page.evaluate(
        """() => {
          const data = document.querySelector('.st-key-my_text_chart .js-plotly-plot')._fullData[0];
          return [data.customdata[0][0], data.z[0].findIndex(value => value > 0)];
        }"""
    )
    click_cell(page, "my_text_chart", row=0, column=token)
    expect(head(page)).to_have_text(f"L1.resid_post.feature[topk-L1:{feature}]")
    expect(page).to_have_url(re.compile(f"feature={feature}"))


@pytest.fixture(scope="module")
def other(
    tiny: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, Path]:
    """A GPT-2 in a folder, a dictionary of it with many features in another, a small corpus."""
    place = tmp_path_factory.mktemp("features")
    save(at_place(api.load(tiny("gpt2"), device="cpu"), "L1.resid_post", n=MANY), place / "wide")
    lines = [
        {"text": f"the {a} sat on the {b} and ran"} for a in ("cat", "dog") for b in ("mat", "bed")
    ]
    (place / "pets.jsonl").write_text("\n".join(map(json.dumps, lines * 4)), encoding="utf-8")
    return tiny("gpt2"), place / "wide", place / "pets.jsonl"


def test_a_dictionary_from_a_folder_beside_another_model_scrolls_through_65_536_features(
    visit, other
):
    model, book, corpus = map(str, other)
    page = visit(f"/features?model={quote(model)}&corpus={quote(corpus)}&sorted=feature")
    wait_answers(page)
    expect(page.get_by_text("This model has no dictionary")).to_be_visible()
    page.get_by_role("button", name="Add", exact=True).first.click()
    page.get_by_role("textbox", name="Path").fill(book)
    page.get_by_role("textbox", name="Name").fill("wide")
    page.get_by_test_id("stFormSubmitButton").get_by_role("button", name="Add").click()
    ready(page)
    expect(page.get_by_text("65,536 features of 65,536")).to_be_visible()
    scroll_to_end(page)
    expect(card_at(page, MANY - 1)).to_be_visible()
    card_at(page, MANY - 1).click()
    expect(head(page)).to_have_text(f"L1.resid_post.feature[wide:{MANY - 1}]")
    wait_answers(page)
    element(page, "choice_features").get_by_role("radio", name="Scatter").click()
    wait_chart(page, "scatter_chart")


@pytest.mark.parametrize("width", [430, 1100, 1500])
def test_nothing_is_cut_off_at_any_width(visit, width):
    page = visit("/features?feature=12", width=width)
    ready(page)
    over = page.evaluate(
        """() => {
          const main = document.querySelector('[data-testid="stMain"]');
          return [main.scrollWidth - main.clientWidth, document.body.scrollWidth - innerWidth];
        }"""
    )
    assert max(over) <= 0
    expect(head(page)).to_be_visible()
