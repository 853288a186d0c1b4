"""Models beside each other in a real browser: a choice in one column is found in the others."""

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from core import api
from core.results.match import Match
from core.spec.site import Site, site
from tests.e2e.conftest import Visit
from tests.e2e.harness import click_cell, element, wait_answers, wait_chart

pytestmark = pytest.mark.e2e

STORIES = Path(__file__).resolve().parents[1] / "data" / "models" / "stories260k"
BESIDE_STORIES = f"model=embedded&model_b={quote(str(STORIES))}"
PATIENCE = 300  # seconds for all answers on a busy machine


def opened(visit: Visit, address: str, **how: object) -> Page:
    page: Page = visit(address, **how)
    wait_answers(page, timeout=PATIENCE)
    return page


def card(page: Page, key: str, place: str) -> None:
    """The card of a column is that of this unit."""
    expect(element(page, key).locator(".eido-head b")).to_have_text(place)


@pytest.fixture(scope="module")
def heads() -> Match:
    found = api.run("match", api.load("embedded"), other=str(STORIES), unit="head")
    assert isinstance(found, Match)
    return found


def test_a_click_in_one_model_selects_the_counterpart_in_the_other_both_ways(
    visit: Visit, heads: Match
) -> None:
    first, second = (
        (site(heads.site(int(unit))), site(heads.site(int(heads.partner[unit]), there=True)))
        for unit in [unit for unit in heads.listed if heads.matched[unit]][:2]
    )
    page = opened(visit, f"/heads?{BESIDE_STORIES}")
    click_cell(page, "head_map_chart", row=first[0].layer, column=int(first[0].unit or 0))
    card(page, "head_card_panel", str(first[0]))
    card(page, "head_card_on_B_panel", str(first[1]))
    expect(page.get_by_text(f"{first[1]} corresponds to {first[0]} of A: likeness")).to_be_visible()
    wait_answers(page, timeout=PATIENCE)
    click_cell(page, "head_map_chart_on_B", row=second[1].layer, column=int(second[1].unit or 0))
    card(page, "head_card_panel", str(second[0]))
    card(page, "head_card_on_B_panel", str(second[1]))
    wait_answers(page, timeout=PATIENCE)
    expect(page.get_by_text("The models are of different shape")).to_be_visible()


def test_a_head_without_a_counterpart_is_shown_where_it_was_clicked(
    visit: Visit, heads: Match
) -> None:
    taken = {int(heads.partner[unit]) for unit in heads.matched.nonzero()[0]}
    lone = next(unit for unit in range(len(heads.back_partner)) if unit not in taken)
    place = site(heads.site(lone, there=True))
    page = opened(visit, f"/heads?{BESIDE_STORIES}&layer=2&head=1")
    card(page, "head_card_panel", "L2.head[1]")
    click_cell(page, "head_map_chart_on_B", row=place.layer, column=int(place.unit or 0))
    card(page, "head_card_on_B_panel", str(place))
    card(page, "head_card_panel", "L2.head[1]")
    expect(page.get_by_text(f"{place} was chosen here; no unit of A")).to_be_visible()
    wait_answers(page, timeout=PATIENCE)


def test_a_cell_of_the_difference_selects_its_head_in_both_models(visit: Visit) -> None:
    page = opened(visit, "/heads?model=embedded&model_b=embedded-tuned&layer=0&head=0")
    panel = element(page, "differ_heads_B_panel")
    expect(panel).to_contain_text("beyond the noise")
    click_cell(page, "differ_heads_B_chart", row=3, column=2)
    for key in ("head_card_panel", "head_card_on_B_panel"):
        card(page, key, "L3.head[2]")
    wait_answers(page, timeout=PATIENCE)
    element(page, "choice_differing").get_by_role("radio", name="What heads cause").click()
    expect(element(page, "differ_head_effect_B_panel")).to_contain_text("nats")
    wait_answers(page, timeout=PATIENCE)


def test_three_models_stand_beside_each_other_with_one_selection(visit: Visit) -> None:
    page = opened(
        visit,
        f"/neurons?model=embedded&model_b=embedded-tuned&model_c={quote(str(STORIES))}"
        "&layer=1&neuron=280&about=models",
    )
    card(page, "card_panel", "L1.neuron[280]")
    card(page, "card_on_B_panel", "L1.neuron[280]")
    found = element(page, "card_on_C_panel").locator(".eido-head b").text_content() or ""
    expect(page.get_by_text(f"{found} ", exact=False).first).to_be_visible()
    assert isinstance(site(found), Site)
    wait_chart(page, "differ_neuron_map_B_chart")
    assert page.locator(".st-key-differ_neuron_map_C_panel").count() == 0  # of another shape
    click_cell(page, "neuron_map_on_B_chart", row=4, column=17)  # cells are narrower than a pixel
    expect(page).to_have_url(re.compile(r"layer=4&neuron=1[678]&"))
    chosen = re.search(r"&neuron=(\d+)&", page.url)
    assert chosen
    card(page, "card_panel", f"L4.neuron[{chosen[1]}]")
    card(page, "card_on_B_panel", f"L4.neuron[{chosen[1]}]")
    wait_answers(page, timeout=PATIENCE)


def test_a_card_of_the_wall_opens_and_its_counterpart_in_the_other_dictionary(
    visit: Visit,
) -> None:
    page = opened(visit, "/features?model=embedded&model_b=embedded-small&feature=617")
    expect(element(page, "card_panel").locator(".eido-head b")).to_contain_text(":617]")
    expect(element(page, "card_on_B_panel").locator(".eido-head b")).to_contain_text("feature[")
    expect(page.get_by_text("feature 617 of A: likeness")).to_be_visible()


def test_the_same_model_twice_says_so_and_a_missing_one_leaves_the_other(visit: Visit) -> None:
    page = opened(visit, "/steer?model=embedded-small&model_b=embedded-small")
    expect(page.get_by_text("The same model stands in two columns")).to_be_visible()
    expect(element(page, "differ_lens_B_panel")).to_contain_text("0 cells of")
    page = opened(visit, "/heads?model=embedded-small&model_b=/nowhere/at/all")
    expect(page.get_by_text("there is no folder").first).to_be_visible()
    wait_chart(page, "head_map_chart")


def test_in_a_narrow_window_every_part_says_whose_it_is(visit: Visit) -> None:
    page = opened(visit, "/heads?model=embedded-small&model_b=embedded-tuned", width=430)
    assert page.locator(".eido-side.eido-model-B:visible").count() >= 4
    wide = opened(visit, "/heads?model=embedded-small&model_b=embedded-tuned")
    assert wide.locator(".eido-side:visible").count() == 0


def test_the_direction_of_one_concept_stands_beside_itself_in_another_model(visit: Visit) -> None:
    page = opened(visit, f"/directions?{BESIDE_STORIES}&concept=gender")
    for key in ("direction_chart", "direction_on_B_chart"):
        wait_chart(page, key)
    expect(page.get_by_text("L3.resid_post").first).to_be_visible()
