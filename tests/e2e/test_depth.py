"""Depth in a real browser: from a set of texts to a layer, its direction, and many sets."""

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.harness import element, wait_answers, wait_chart

pytestmark = pytest.mark.e2e

POINT = """([key, trace, index]) => {
  const gd = document.querySelector(`.st-key-${key} .js-plotly-plot`);
  gd.scrollIntoView({ block: "center" });
  const { xaxis: x, yaxis: y, ...t } = gd._fullData[trace];
  const place = (name) => gd._fullLayout[name[0] + "axis" + name.slice(1)];
  const [h, v, box] = [place(x), place(y), gd.getBoundingClientRect()];
  return [box.left + h._offset + h.d2p(t.x[index]), box.top + v._offset + v.d2p(t.y[index])];
}"""


def click_point(page, key, *, trace, index):
    """Click a point of a line; Plotly clicks what it hovers."""
    x, y = page.evaluate(POINT, [key, trace, index])
    page.mouse.move(x - 3, y - 3)
    page.mouse.move(x, y)
    page.wait_for_timeout(150)
    page.mouse.click(x, y)


def test_a_curve_leads_to_a_layer_and_its_direction_into_the_clamps(visit):
    page = visit("/depth")
    wait_chart(page, "depth_A_chart")
    expect(element(page, "depth_A_panel")).to_contain_text("Readable from layer 2 of 6")
    expect(element(page, "depth_layer_panel")).to_contain_text("Layer 2: L1.resid_post")
    last = page.evaluate(
        "document.querySelector('.st-key-depth_A_chart .js-plotly-plot')._fullData.length - 1"
    )
    click_point(page, "depth_A_chart", trace=last, index=1)
    expect(element(page, "depth_layer_panel")).to_contain_text("Layer 1: L0.resid_post")
    expect(element(page, "depth_layer_panel")).to_contain_text("Most wrong of")
    expect(page).to_have_url(re.compile("depth=1"))
    expect(element(page, "depth_layer_panel")).to_contain_text("units of the stream apart")
    wait_chart(page, "depth_margins_chart")
    element(page, "depth_take_out").get_by_role("button").first.click()
    expect(element(page, "tray_head")).to_contain_text("(1)")
    wait_answers(page)
    element(page, "depth_directions").get_by_role("button").first.click()
    expect(page).to_have_url(re.compile("/directions"))
    expect(page.get_by_text("female, not male; 80 against 80")).to_be_visible()


def test_many_sets_stand_in_their_order_and_a_click_opens_one(visit):
    page = visit("/depth?depths=many")
    wait_answers(page)
    chart = element(page, "depth_many_chart")
    expect(chart).to_contain_text("random labels")
    page.wait_for_function(
        "document.querySelector('.st-key-depth_many_chart .js-plotly-plot')._fullData.length == 36"
    )
    click_point(page, "depth_many_chart", trace=11, index=3)
    expect(page).to_have_url(re.compile("labelled=review"))
    wait_chart(page, "depth_A_chart")


def test_a_pasted_table_with_one_class_is_a_sentence_and_a_good_one_is_read(visit):
    page = visit("/depth")
    page.get_by_role("button", name="Own table").click()
    page.get_by_role("textbox", name="Table").fill("text,label\na dog,x\na cat,x")
    page.get_by_role("button", name="Use this table").click()
    expect(page.get_by_text("one class only")).to_be_visible()
    wait_answers(page)
    rows = [
        f"{word} is here,{label}"
        for label, words in (
            ("animal", "dog cat cow pig hen fox"),
            ("thing", "car cup box hat bag key"),
        )
        for word in words.split()
    ]
    page.get_by_role("textbox", name="Table").fill("text,label\n" + "\n".join(rows))
    page.get_by_role("button", name="Use this table").click()
    expect(page.get_by_text("12 texts: 6 animal, 6 thing")).to_be_visible()
    wait_chart(page, "depth_A_chart")


def test_probes_and_transfer_begin_at_a_button_and_a_click_leads_on(visit):
    page = visit("/depth?depths=probes")
    element(page, "family_begin").get_by_role("button").first.click()
    wait_chart(page, "family_chart")
    last = page.evaluate(
        "document.querySelector('.st-key-family_chart .js-plotly-plot')._fullData.length - 1"
    )
    click_point(page, "family_chart", trace=last, index=1)
    expect(element(page, "family_panel")).to_contain_text("agree behind layer 0")
    expect(page).to_have_url(re.compile("depth=1.*viewed=agreement|viewed=agreement.*depth=1"))
    page = visit("/depth?depths=transfer&sets=animals,review")
    element(page, "transfer_begin").get_by_role("button").first.click()
    wait_chart(page, "transfer_chart")
    click_point(page, "transfer_chart", trace=0, index=1)
    expect(element(page, "transfer_panel")).to_contain_text("Learned from review")
    expect(page).to_have_url(re.compile("learned=review"))


def test_checks_of_probes_begin_at_a_button_and_a_layer_leads_on(visit):
    page = visit("/depth?depths=probes&labelled=sums above ten")
    page.get_by_role("radio", name="what it takes").click()
    element(page, "probe_controls_begin").get_by_role("button").first.click()
    wait_chart(page, "probe_controls_chart", timeout=180)
    expect(element(page, "probe_controls_panel")).to_contain_text("bits a text behind layer")
    last = page.evaluate(
        "document.querySelector('.st-key-probe_controls_chart .js-plotly-plot')"
        "._fullData.length - 1"
    )
    click_point(page, "probe_controls_chart", trace=last, index=2)
    expect(element(page, "probe_controls_panel")).to_contain_text("How many texts teach it")
    expect(page).to_have_url(re.compile("depth=2.*viewed=sizes|viewed=sizes.*depth=2"))
    page.get_by_role("radio", name="as a probability").click()
    element(page, "calibration_begin").get_by_role("button").first.click()
    wait_chart(page, "calibration_chart", timeout=180)
    page.get_by_role("radio", name="within the text").click()
    expect(element(page, "calibration_panel")).to_contain_text("How much of a text must be read")
    page.get_by_role("radio", name="with noise").click()
    element(page, "depth_noise_begin").get_by_role("button").first.click()
    wait_chart(page, "depth_noise_chart", timeout=180)
    expect(element(page, "depth_noise_panel")).to_contain_text("half-rise at layer")
    page.get_by_role("radio", name="read or guide").click()
    element(page, "detect_guide_begin").get_by_role("button").first.click()
    wait_chart(page, "detect_guide_chart", timeout=180)
    expect(element(page, "detect_guide_panel")).to_contain_text("reads it best")


def test_one_of_several_classes_leads_to_directions_by_its_probe(visit):
    page = visit("/depth?labelled=languages&depth=3&towards=French")
    wait_chart(page, "depth_margins_chart")
    expect(element(page, "depth_layer_panel")).to_contain_text("towards French")
    element(page, "depth_probe_directions").get_by_role("button").first.click()
    expect(page).to_have_url(re.compile("/directions.*method=given"))
    wait_chart(page, "direction_chart")
    expect(page.get_by_text("French, not the others; 111 against 222")).to_be_visible()


def test_the_lens_reads_a_task_and_keeps_its_way_in_the_address(visit):
    page = visit("/depth?depths=lens&lensed=capital")
    wait_chart(page, "lens_depth_chart")
    expect(element(page, "lens_depth_panel")).to_contain_text("right in 100 % at the end")
    page.get_by_role("radio", name="stopping early").click()
    expect(element(page, "lens_depth_panel")).to_contain_text("What stopping early saves")
    expect(page).to_have_url(re.compile("viewed=exits"))
