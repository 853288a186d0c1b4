"""Geometry in a real browser: points that glide over depth, a lasso, questions and their sets."""

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.harness import element, wait_answers, wait_chart

pytestmark = pytest.mark.e2e

# Places of all words on screen; the grey ones on axes of shuffled labels come first.
PLACES = """() => {
  const gd = document.querySelector(".st-key-map_chart .js-plotly-plot");
  return gd._fullData.filter((t) => Array.isArray(t.hovertext)).flatMap((t) => Array.from(t.x));
}"""
WORD = """(word) => {
  const gd = document.querySelector(".st-key-map_chart .js-plotly-plot");
  gd.scrollIntoView({ block: "center" });
  const box = gd.getBoundingClientRect(), { xaxis: h, yaxis: v } = gd._fullLayout;
  for (const t of gd._fullData) {
    if (!Array.isArray(t.hovertext)) continue;
    const at = t.hovertext.findIndex((text) => text.includes(`<b>${word}</b>`));
    if (at >= 0) {
      return [box.left + h._offset + h.d2p(t.x[at]), box.top + v._offset + v.d2p(t.y[at])];
    }
  }
}"""


def places(page):
    return page.evaluate(PLACES)


def move_slider(page, steps):
    """By keys, as a person without a mouse would."""
    slider = element(page, "map_slider").get_by_role("slider")
    slider.focus()
    for _ in range(abs(steps)):
        slider.press("ArrowRight" if steps > 0 else "ArrowLeft")


def test_the_slider_moves_points_in_place_and_stands_in_the_address(visit):
    page = visit("/geometry?row=1")
    wait_chart(page, "map_chart")
    page.wait_for_timeout(600)
    before = places(page)
    page.evaluate(
        "document.querySelector('.st-key-map_chart .js-plotly-plot').dataset.same = 'yes'"
    )
    move_slider(page, 3)
    expect(page).to_have_url(re.compile(r"row=4"))
    page.wait_for_timeout(1_200)
    after = places(page)
    assert len(after) == len(before)
    moved = sum(abs(a - b) > 1e-3 for a, b in zip(after, before, strict=True))
    assert moved > 0.9 * len(before)
    # The chart is the one that was there: zoom, camera and selection stay.
    assert page.evaluate(
        "document.querySelector('.st-key-map_chart .js-plotly-plot').dataset.same === 'yes'"
    )
    move_slider(page, -3)
    page.wait_for_timeout(1_200)
    assert all(abs(a - b) < 1e-4 for a, b in zip(places(page), before, strict=True))


def test_a_click_names_neighbours_and_a_lasso_becomes_a_set_and_a_direction(visit):
    page = visit("/geometry?row=4")
    wait_chart(page, "map_chart")
    page.wait_for_timeout(800)
    x, y = page.evaluate(WORD, "whale") or page.evaluate(WORD, "dog")
    page.mouse.move(x - 3, y - 3)
    page.mouse.move(x, y)
    page.wait_for_timeout(200)
    page.mouse.click(x, y)
    expect(page.get_by_text("lies nearest to")).to_be_visible()
    x, y = page.evaluate(WORD, "dog")
    page.mouse.move(x - 60, y - 60)
    page.mouse.down()
    for dx, dy in ((60, -60), (60, 60), (-60, 60), (-60, -60)):
        page.mouse.move(x + dx, y + dy, steps=6)
    page.mouse.up()
    lasso = element(page, "lasso")
    expect(lasso).to_contain_text("in the lasso")
    lasso.get_by_role("button", name="Make a direction").click()
    expect(lasso).to_contain_text("tells held-out words apart with AUC")
    lasso.get_by_role("button", name="+ push").click()
    expect(element(page, "tray_head")).to_contain_text("(1)")
    lasso.get_by_label("Name").fill("my animals")
    lasso.get_by_label("Name").press("Tab")
    lasso.get_by_role("button", name="Make it a set").click()
    expect(page).to_have_url(re.compile(r"[?&]set="))
    wait_answers(page)
    expect(element(page, "map_panel")).to_contain_text("my animals")


def test_days_lie_on_a_circle_and_another_question_brings_its_own_words(visit):
    page = visit("/geometry")
    page.get_by_role("radio", name="Circle", exact=True).click()
    wait_chart(page, "circle_chart")
    expect(element(page, "circle_panel")).to_contain_text("7 words lie on a circle")
    page.get_by_role("radio", name="Relations", exact=True).click()
    wait_chart(page, "relations_chart")
    expect(element(page, "relations_panel")).to_contain_text("parallel offsets")
    page.get_by_role("radio", name="Categories", exact=True).click()
    wait_chart(page, "categories_chart")
    expect(element(page, "categories_panel")).to_contain_text("shuffled")


def test_own_words_are_read_and_one_word_is_a_sentence(visit):
    page = visit("/geometry")
    wait_chart(page, "map_chart")
    page.get_by_role("button", name="Own words").click()
    page.get_by_label("Words", exact=True).fill("dog")
    page.get_by_role("button", name="Use these").click()
    expect(page.get_by_text("at least two").first).to_be_visible()
    page.get_by_role("button", name="Own words").click()
    page.get_by_label("Words", exact=True).fill("pet: dog, cat, horse\nroom: kitchen, hall, attic")
    page.get_by_role("button", name="Use these").click()
    wait_chart(page, "map_chart")
    expect(element(page, "map_panel")).to_contain_text("6 words")
