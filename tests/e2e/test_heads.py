"""Heads in a real browser: the map, the card, pictures of many heads and of a long text."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Page, WebSocket, expect

from core.spec.links import link
from core.spec.request import ModelRef
from core.spec.workspace import Workspace
from tests import tiny
from tests.e2e.conftest import Visit
from tests.e2e.harness import click_cell, element, wait_answers, wait_chart

pytestmark = pytest.mark.e2e

STORIES = Path(__file__).resolve().parents[1] / "data" / "models" / "stories260k"
PATIENCE = 300  # seconds for all answers about a large model on a busy machine
PAINTED = """
canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
  .some((value, at) => at % 4 === 3 && value > 0)
"""


def opened(visit: Visit, folder: Path, prompt: str, **choices: str) -> Page:
    work = Workspace((ModelRef(str(folder)),), prompt)
    for name, value in choices.items():
        work = work.with_choice(name, value)
    page: Page = visit(link("heads", work))
    wait_answers(page, timeout=PATIENCE)
    return page


def card(page: Page, site: str) -> None:
    """The card is that of this head."""
    expect(element(page, "head_card_panel").locator(".eido-head b")).to_have_text(site)


def test_a_head_is_chosen_in_the_map_walked_on_from_and_clamped(visit: Visit) -> None:
    page = visit("/heads?heads=induction_stripe")
    wait_answers(page)
    click_cell(page, "head_map_chart", row=2, column=3)
    card(page, "L2.head[3]")
    expect(page).to_have_url(re.compile("layer=2&head=3"))
    wait_answers(page)
    page.locator("h1").first.click()  # keys go to the page, not to the chart
    page.keyboard.press("n")
    card(page, "L2.head[4]")
    wait_answers(page)
    element(page, "head_clamp").get_by_role("button").first.click()
    expect(element(page, "tray_head")).to_contain_text("(1)")
    wait_answers(page)
    again = visit("/heads" + page.url.partition("/heads")[2])
    wait_answers(again)
    card(again, "L2.head[4]")
    expect(element(again, "tray_head")).to_contain_text("(1)")


def tab(page: Page, name: str) -> None:
    """Open one of the questions below the map."""
    element(page, "choice_looked").get_by_role("radio", name=name, exact=True).click()
    wait_answers(page, timeout=PATIENCE)


def test_two_heads_of_another_model_are_held_and_chosen_and_stand_beside_each_other(
    visit: Visit,
) -> None:
    page = opened(visit, STORIES, "Once upon a time, Lily saw Tom. Lily")
    click_cell(page, "head_map_chart", row=3, column=6)
    card(page, "L3.head[6]")
    wait_answers(page, timeout=PATIENCE)
    element(page, "head_compare").get_by_role("button").first.click()
    expect(page.get_by_text("is held as the second head")).to_be_visible()
    click_cell(page, "head_map_chart", row=1, column=3)
    panel = element(page, "compare_panel")
    expect(panel.locator(".eido-head b")).to_have_text("L1.head[3] beside L3.head[6]")
    wait_answers(page, timeout=PATIENCE)

    element(page, "choice_picks").get_by_role("radio", name="the second head").click()
    wait_answers(page, timeout=PATIENCE)
    click_cell(page, "head_map_chart", row=4, column=5)
    expect(panel.locator(".eido-head b")).to_have_text("L1.head[3] beside L4.head[5]")
    card(page, "L1.head[3]")
    expect(page).to_have_url(re.compile("other=L4.head"))
    wait_answers(page, timeout=PATIENCE)
    expect(panel).to_contain_text("other heads, mean")
    expect(panel).to_contain_text("without both")
    expect(element(page, "compare_scores")).to_contain_text("previous token")
    for view in ("first", "second", "difference"):
        wait_chart(page, f"compare_{view}")
    click_cell(page, "compare_difference", row=4, column=2)
    expect(page).to_have_url(re.compile("token=4"))
    wait_answers(page, timeout=PATIENCE)

    element(page, "compare_swap").get_by_role("button").click()
    card(page, "L4.head[5]")
    expect(panel.locator(".eido-head b")).to_have_text("L4.head[5] beside L1.head[3]")
    wait_answers(page, timeout=PATIENCE)
    again = visit("/heads" + page.url.partition("/heads")[2])
    wait_answers(again, timeout=PATIENCE)
    expect(element(again, "compare_panel").locator(".eido-head b")).to_have_text(
        "L4.head[5] beside L1.head[3]"
    )
    page.go_back()
    expect(panel.locator(".eido-head b")).to_have_text("L1.head[3] beside L4.head[5]")


def test_a_context_of_a_head_becomes_the_prompt_and_the_model_has_no_induction_head(
    visit: Visit,
) -> None:
    page = opened(visit, STORIES, "Once upon a time", corpus="reference")
    expect(element(page, "head_map_panel")).to_contain_text("previous token")
    assert "induction" not in element(page, "head_map_panel").inner_text()
    click_cell(page, "head_map_chart", row=3, column=6)
    card(page, "L3.head[6]")
    wait_answers(page, timeout=PATIENCE)
    tab(page, "Where most")
    panel = element(page, "contexts_panel")
    expect(panel).to_contain_text("Where L3.head[6] looks most")
    expect(panel).to_contain_text("random key")
    expect(panel).to_contain_text("Without it log p of")
    rows = element(page, "head_contexts").locator("li")
    assert rows.count() >= 4
    first = rows.first
    expect(first.locator(".peak")).to_have_count(1)
    expect(first.locator(".marked")).to_have_count(1)
    element(page, "choice_pairs").get_by_role("radio", name="fifth 3").click()
    expect(page).to_have_url(re.compile("pairs=3"))
    expect(first.locator("button")).not_to_have_text("1")
    looks, seen = (first.locator(name).inner_text().strip() for name in (".marked", ".peak"))
    first.locator("button").click()
    expect(page).not_to_have_url(re.compile("text=Once\\+upon\\+a\\+time&"))
    wait_answers(page, timeout=PATIENCE)
    text = parse_qs(urlparse(page.url).query)["text"][0]
    assert text.endswith(looks)
    assert seen in text


def test_a_dot_and_a_picture_choose_a_head_and_its_effect_stands_beside_it(visit: Visit) -> None:
    page = visit("/heads?heads=previous_token&pictured=all layers")
    wait_answers(page)
    wait_chart(page, "head_plane_chart")
    pictures = element(page, "tiles_pictures").get_by_role("option")
    expect(pictures).to_have_count(36)
    assert pictures.nth(35).locator("canvas").evaluate(PAINTED)
    pictures.nth(1).hover()
    told = element(page, "tiles_pictures").locator(".note")
    expect(told).to_contain_text("L5.head[1]")
    expect(told).to_contain_text("effect on the answer")
    pictures.nth(1).click()
    card(page, "L5.head[1]")
    expect(element(page, "pattern_panel")).to_contain_text("Without it log p of")


@pytest.mark.parametrize(("layers", "heads"), [(12, 12), (32, 32)])
def test_many_heads_have_a_map_and_pictures(
    visit: Visit, tmp_path: Path, layers: int, heads: int
) -> None:
    width = 2 * heads
    folder = tiny.make("gpt2", tmp_path / "m", n_layer=layers, n_head=heads, n_embd=width)
    page = opened(visit, folder, "the cat sat on the mat", pictured="all layers")
    click_cell(page, "head_map_chart", row=layers - 1, column=heads - 1)
    card(page, f"L{layers - 1}.head[{heads - 1}]")
    wait_answers(page, timeout=PATIENCE)
    pictures = element(page, "tiles_pictures").get_by_role("option")
    expect(pictures).to_have_count(layers * heads)


def test_144_heads_on_256_tokens_reach_the_browser_in_less_than_four_megabytes(
    visit: Visit, tmp_path: Path
) -> None:
    folder = tiny.make("gpt2", tmp_path / "m", n_layer=12, n_head=12, n_embd=24, n_positions=300)
    received = [0]

    def listen(socket: WebSocket) -> None:
        def count(payload: bytes | str) -> None:
            received[0] += len(payload)

        socket.on("framereceived", count)

    page: Page = visit("/status")
    page.on("websocket", listen)
    work = Workspace((ModelRef(str(folder)),), "a " * 255).with_choice("pictured", "all layers")
    base = page.url.partition("/status")[0]
    page.goto(base + link("heads", work))
    wait_answers(page, timeout=PATIENCE)
    expect(element(page, "tiles_pictures").get_by_role("option")).to_have_count(144)
    assert 0 < received[0] < 4_000_000


def test_a_pattern_of_1024_tokens_is_drawn_in_full_and_a_click_selects_its_row(
    visit: Visit, tmp_path: Path
) -> None:
    folder = tiny.make("gpt2", tmp_path / "m", n_positions=1030)
    page = opened(visit, folder, "a " * 1_020)
    page.get_by_text("The whole pattern").click()
    wait_answers(page, timeout=PATIENCE)
    canvas = element(page, "pattern_whole").locator("canvas")
    assert canvas.evaluate(PAINTED)
    canvas.scroll_into_view_if_needed()
    canvas.hover(position={"x": 5, "y": 200})
    expect(element(page, "pattern_whole").locator(".note")).to_contain_text("looks at")
    canvas.click(position={"x": 5, "y": 200})
    expect(page).to_have_url(re.compile(r"token=\d+"))
