"""Depth in a real browser: heads and sites, training, minimal pairs, meanings, several models."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.harness import element, wait_answers, wait_chart

pytestmark = pytest.mark.e2e

CELL = """([key, row, column]) => {
  const gd = document.querySelector(`.st-key-${key} .js-plotly-plot`);
  gd.scrollIntoView({ block: "center" });
  const [x, y] = [gd._fullLayout.xaxis, gd._fullLayout.yaxis];
  const box = gd.getBoundingClientRect();
  return [box.left + x._offset + x.d2p(column), box.top + y._offset + y.d2p(row)];
}"""


def click_cell(page, key, row, column):
    """Click a cell of a map; Plotly clicks what it hovers."""
    x, y = page.evaluate(CELL, [key, row, column])
    page.mouse.move(x - 3, y - 3)
    page.mouse.move(x, y)
    page.wait_for_timeout(150)
    page.mouse.click(x, y)


def begin(page, key):
    element(page, f"{key}_begin").get_by_role("button").first.click()
    wait_answers(page)
    wait_chart(page, f"{key}_chart")


def test_a_head_of_the_map_is_selected_ablated_and_opened(visit):
    page = visit("/depth?depths=sites&labelled=review+with+not")
    begin(page, "sites")
    expect(element(page, "sites_panel")).to_contain_text("heads beyond the best of chance")
    click_cell(page, "sites_chart", 5, 1)
    expect(page).to_have_url(re.compile("layer=5.*head=1|head=1.*layer=5"))
    expect(page.get_by_text("L5.head[1]: AUC")).to_be_visible()
    element(page, "sites_ablate").get_by_role("button").first.click()
    expect(element(page, "tray_head")).to_contain_text("(1)")
    page.get_by_role("radio", name="sites", exact=True).click()
    expect(element(page, "sites_panel")).to_contain_text("Which sites carry it")
    element(page, "sites_heads").wait_for(state="detached")


def test_training_of_the_small_model_stands_beside_the_large_one(visit):
    page = visit("/depth?depths=training&model=embedded-small&model_b=embedded&labelled=plural")
    begin(page, "training")
    expect(element(page, "training_panel")).to_contain_text("first readable in embedded-small at")
    maps = "document.querySelectorAll('.st-key-training_chart .js-plotly-plot')[0]"
    kinds = page.evaluate(f"{maps}._fullData.filter(t => t.type == 'heatmap').length")
    assert kinds == 2
    page.get_by_role("radio", name="by size").click()
    expect(page).to_have_url(re.compile("viewed=sizes"))
    wait_chart(page, "training_chart")


def test_pairs_of_two_models_begin_together_and_own_ones_are_typed(visit):
    page = visit("/depth?depths=pairs&drew=gender&model_b=embedded-small")
    begin(page, "pairs")
    wait_chart(page, "pairs_on_B_chart")
    expect(element(page, "pairs_panel")).to_contain_text("prefers the right text in 100 %")
    page = visit("/depth?depths=pairs")
    page.get_by_role("button", name="Own pairs").click()
    page.get_by_role("textbox", name="Pairs").fill("a dog is here")
    page.get_by_role("button", name="Use these pairs").click()
    expect(page.get_by_text("line 1 is not 'acceptable | unacceptable'")).to_be_visible()
    rows = "\n".join(f"The {w} is here. | The {w}s is here." for w in ("dog", "cat", "cow", "car"))
    page.get_by_role("textbox", name="Pairs").fill(rows)
    page.get_by_role("button", name="Use these pairs").click()
    begin(page, "pairs")
    expect(element(page, "pairs_panel")).to_contain_text("own pairs")


def test_months_mean_something_and_fresh_weights_are_asked_too(visit):
    page = visit("/depth?depths=meaning&meant=months&fresh=yes")
    begin(page, "meaning")
    panel = element(page, "meaning_panel")
    expect(panel).to_contain_text("the states hold the meaning")
    expect(panel).to_contain_text("fresh weights")


def test_three_models_share_a_figure_whose_curves_are_exported(visit):
    page = visit("/depth?model_b=embedded-small&model_c=embedded-tuned&labelled=review")
    wait_chart(page, "depth_A_chart")
    expect(element(page, "depth_A_panel")).to_contain_text("embedded-tuned: Readable from")
    wait_answers(page)
    element(page, "depth_A_panel").get_by_role("button", name="Export").click()
    with page.expect_download() as got:
        page.get_by_role("button", name="CSV", exact=True).click()
    rows = Path(got.value.path()).read_text().splitlines()
    assert len(rows) == 1 + 3 * 7
    assert rows[0].startswith("model,set,probe")


def test_the_nine_sets_are_looked_for_in_a_folder(visit, tmp_path):
    rows = [f"{i} film is so,{('negative', 'positive')[i % 2]}" for i in range(40)]
    (tmp_path / "imdb.csv").write_text("\n".join(["review,sentiment", *rows]))
    page = visit(f"/depth?depths=many&gathered=paper&nine={tmp_path}&probe=means")
    expect(page.get_by_text("Not there: CommonClaim, STSA")).to_be_visible()
    expect(element(page, "depth_many_chart")).to_contain_text("Cities (factual)")
    expect(element(page, "depth_many_chart")).to_contain_text("IMDb (emotional)")
