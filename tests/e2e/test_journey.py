"""From the start page to a changed text: the short journey, run by `make test` too."""

import re

import pytest
from playwright.sync_api import expect

from tests.e2e import steering
from tests.e2e.harness import click_cell, element, wait_answers

pytestmark = pytest.mark.journey


def test_from_the_start_page_to_a_clamped_text_and_back(visit):
    page = visit("/")
    page.get_by_test_id("stSidebar").get_by_role("link", name="Steer").click()
    expect(page).to_have_url(re.compile("/steer$"))
    expect(element(page, "prompt")).to_be_visible()
    wait_answers(page)

    steering.write(page, "The dog is big. The mouse is very")
    expect(page).to_have_url(re.compile("text=The\\+dog"))
    expect(element(page, "strip").get_by_role("option").last).to_have_text("·very")
    clean = steering.wait_texts(page, "clean")

    click_cell(page, "lens_chart", row=2, column=3)
    expect(page.locator(".eido-card")).to_contain_text("L2.resid_post@3")
    expect(page).to_have_url(re.compile("token=3.*layer=2"))
    wait_answers(page)

    site = steering.clamp_listed_neuron(page)
    steering.wait_texts(page, *steering.RUNS)
    unit = float(steering.number(page, "clamp_0_value").input_value())
    steering.set_number(page, "clamp_0_value", 4 * unit)
    expect(page.locator(".st-key-texts section[aria-label=clamped] .head")).to_contain_text(site)
    three = steering.wait_texts(page, *steering.RUNS)
    assert three["clean"] == clean["clean"]
    assert three["clamped"] != three["clean"]

    steering.press(page, "tray_undo")
    expect(steering.number(page, "clamp_0_value")).to_have_value(f"{unit:g}")
    steering.press(page, "tray_undo")
    expect(steering.tray(page)).to_contain_text("Clamps (0)")
    assert steering.wait_texts(page, "clean") == clean
