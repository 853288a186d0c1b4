"""Steer in a real browser: links, several visitors, history, hostile text, windows, themes."""

import re
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from core import api
from core.figures.theme import ROLES
from core.spec.interventions import Clamp
from core.spec.links import link
from core.spec.site import Site
from core.spec.workspace import Selection, TrayItem, Workspace
from tests.e2e import steering
from tests.e2e.conftest import Visit
from tests.e2e.harness import click_cell, element, wait_answers, wait_chart

pytestmark = pytest.mark.e2e

CLAMPED = Workspace(
    prompt="The dog is big. The mouse is very",
    selection=Selection(token=3, layer=2, head=1),
    tray=(
        TrayItem(Clamp(Site(2, "neuron", 17), 8.0)),
        TrayItem(Clamp(Site(0, "neuron", 3), -4.0), on=False),
    ),
)


def open_clamped(visit: Visit, **how: Any) -> Page:
    """The view of `CLAMPED`, with its three texts written."""
    page: Page = visit(link("steer", CLAMPED), **how)
    steering.wait_texts(page, *steering.RUNS)
    return page


def words(text: str) -> str:
    """Text as both a page and a notebook have it: blanks and line ends count as one blank."""
    return " ".join(text.replace("⏎", " ").split())


def test_a_link_in_a_cold_browser_restores_the_exact_view(visit):
    first = visit("/steer")
    wait_answers(first)
    steering.write(first, CLAMPED.prompt)
    steering.select_token(first, 4)
    click_cell(first, "lens_chart", row=1, column=3)
    expect(first.locator(".eido-card")).to_contain_text("L1.resid_post@3")
    steering.clamp_listed_neuron(first, row=1)
    steering.wait_texts(first, *steering.RUNS)
    expect(first).to_have_url(re.compile("token=3.*w=1"))
    second = visit("".join(first.url.partition("/steer")[1:]))
    steering.wait_texts(second, *steering.RUNS)
    assert steering.shown(second) == steering.shown(first)
    assert second.url == first.url


def test_the_page_writes_what_the_notebook_writes(visit):
    page = open_clamped(visit)
    model = api.load("embedded")
    written = steering.texts(page)
    changed = api.generate(model, CLAMPED.prompt, interventions=CLAMPED.active())
    assert words(written["clean"]) == words(api.generate(model, CLAMPED.prompt))
    assert words(written["clamped"]) == words(changed)
    assert api.link("steer", text=CLAMPED.prompt, interventions=CLAMPED.active()) == link(
        "steer", Workspace(prompt=CLAMPED.prompt, tray=CLAMPED.tray[:1])
    )


def test_two_visitors_with_different_clamps_do_not_meet(visit):
    clamps = [Clamp(Site(2, "neuron", 17), 30.0), Clamp(Site(4, "neuron", 40), -30.0)]
    works = [replace(CLAMPED, tray=(TrayItem(clamp),)) for clamp in clamps]
    pages = [visit(link("steer", work)) for work in works]
    for _ in range(2):
        for page in pages:  # both at once: the second asks while the first is answered
            page.reload(wait_until="commit")
        written = [steering.wait_texts(page, *steering.RUNS) for page in pages]
        assert written[0]["clean"] == written[1]["clean"]
        assert written[0]["clamped"] != written[1]["clamped"]
        for page, clamp, other in zip(pages, clamps, clamps[::-1], strict=True):
            expect(steering.tray(page)).to_contain_text(str(clamp.site))
            expect(steering.tray(page)).not_to_contain_text(str(other.site))
    model = api.load("embedded")
    for one, clamp in zip(written, clamps, strict=True):
        alone = api.generate(model, CLAMPED.prompt, interventions=[clamp])
        assert words(one["clamped"]) == words(alone)


def test_off_and_on_again_brings_the_same_texts_back(visit):
    page = open_clamped(visit)
    before = steering.texts(page)
    steering.press(page, "tray_off")
    assert steering.wait_texts(page, "clean") == {"clean": before["clean"]}
    page.keyboard.press("u")
    assert steering.wait_texts(page, *steering.RUNS) == before


def test_back_and_forward_walk_through_the_choices(visit):
    page = visit("/steer")
    wait_answers(page)
    steering.select_token(page, 2)
    expect(page).to_have_url(re.compile(r"\?token=2$"))
    steering.select_token(page, 4)
    expect(page).to_have_url(re.compile(r"\?token=4$"))
    steering.tray(page).get_by_role("link", name="Status").click()
    expect(page.get_by_role("heading", name="Status", exact=True)).to_be_visible()
    wait_answers(page)
    for token in (4, 2):
        page.go_back()
        expect(steering.number(page, "lens_token")).to_have_value(str(token))
        wait_answers(page)
    page.go_forward()
    expect(steering.number(page, "lens_token")).to_have_value("4")
    expect(page).to_have_url(re.compile(r"/steer\?token=4$"))


HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script> **b** $x$ [l](javascript:0)"


def test_a_hostile_prompt_is_text(visit):
    page = visit("/steer?text=" + quote(HOSTILE))
    wait_answers(page)
    strip = "".join(steering.tokens(page)[1:])
    assert strip.replace("·", " ").strip() == HOSTILE
    steering.clamp_listed_neuron(page)
    steering.wait_texts(page, *steering.RUNS)
    assert page.locator("img[src='x'], a[href^='javascript']").count() == 0
    assert page.evaluate("document.querySelectorAll('[onerror]').length") == 0


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("/steer?w=9.abc", "version"),
        ("/steer?w=1.not-a-tray", "link"),
        ("/steer?layer=many", "layer"),
        ("/steer?token=-3", "token"),
        ("/steer?model=" + quote("no such model"), "no such model"),
        ("/steer?text=" + "a%20" * 1_500, "tokens"),
    ],
)
def test_a_link_that_cannot_be_followed_gives_a_sentence(visit, address, named):
    page = visit(address)
    sentence = page.locator(".eido-note").first
    expect(sentence).to_be_visible()
    assert named in sentence.inner_text().lower()
    # Everything else keeps working.
    steering.tray(page).get_by_role("link", name="Status").click()
    expect(page.get_by_role("heading", name="Status", exact=True)).to_be_visible()


def test_an_empty_prompt_is_the_start_token_alone(visit):
    page = visit("/steer?text=")
    wait_answers(page)
    assert steering.tokens(page) == ["<s>"]
    assert element(page, "prompt").get_by_role("textbox").input_value() == ""


def test_nothing_is_cut_off_in_a_narrow_window(visit):
    page = open_clamped(visit, width=420, height=900)
    over = page.evaluate(
        """() => {
          const main = document.querySelector('[data-testid="stMain"]');
          return [main.scrollWidth - main.clientWidth, document.body.scrollWidth - innerWidth];
        }"""
    )
    assert max(over) <= 0
    bar = element(page, "tray_bar")
    expect(bar).to_be_visible()
    expect(bar).to_contain_text("L2.neuron[17]")
    left, top, width = page.locator(".st-key-texts section").evaluate_all(
        """cards => ['x', 'y', 'width'].map(
             side => cards.map(card => Math.round(card.getBoundingClientRect()[side])))"""
    )
    assert len(set(left)) == 1  # one below the other
    assert top == sorted(set(top))
    assert max(width) <= 420


def test_the_dark_theme_is_dark_everywhere(visit):
    page = open_clamped(visit, dark=True)
    wait_chart(page, "lens_chart")
    background = page.get_by_test_id("stApp").evaluate("e => getComputedStyle(e).backgroundColor")
    assert background == "rgb(16, 18, 24)"
    text, panel = ROLES["text"][1], ROLES["background"][1]
    charts = page.evaluate(
        """() => [...document.querySelectorAll('.js-plotly-plot')].map(
             c => [c._fullLayout.font.color, c._fullLayout.paper_bgcolor])"""
    )
    assert len(charts) >= 3
    for colour, paper in charts:
        assert colour == text
        assert paper in (panel, "rgba(0, 0, 0, 0)", "rgba(0,0,0,0)")


def test_a_change_of_prompt_while_the_answer_is_written_ends_with_the_last_one(visit):
    page = visit("/steer")
    wait_answers(page)
    field = element(page, "prompt").get_by_role("textbox")
    for prompt in ("One", "Two", "Three birds"):
        field.fill(prompt)
        field.press("Enter")
    wait_answers(page)
    expect(element(page, "strip").get_by_role("option").last).to_have_text("·birds")
    model = api.load("embedded")
    assert words(steering.wait_texts(page, "clean")["clean"]) == words(
        api.generate(model, "Three birds")
    )


def test_keys_choose_a_cell_and_walk_the_tokens(visit):
    page = visit("/steer")
    wait_answers(page)
    wait_chart(page, "lens_chart")
    chart = page.locator(".st-key-lens_chart [role=application]")
    chart.focus()
    for key in ("ArrowUp", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(".eido-card")).to_contain_text("L1.resid_post@4")
    token = element(page, "strip").get_by_role("option").nth(4)
    token.focus()
    for key in ("ArrowLeft", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(".eido-card")).to_contain_text("L1.resid_post@2")
