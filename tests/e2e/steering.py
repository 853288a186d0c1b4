"""The page Steer as a visitor reads and touches it."""

from typing import Any

from playwright.sync_api import Page, expect

from tests.e2e.harness import element, wait_answers, wait_idle

RUNS = ("clean", "clamped", "control")


def texts(page: Page) -> dict[str, str]:
    """The continuations on the page by run, as shown, without the prompt in front of them."""
    cards = page.locator(".st-key-texts section")
    return {str(card.get_attribute("aria-label")): _written(card) for card in cards.all()}


def _written(card: Any) -> str:
    prompt = str(card.locator(".prompt").text_content())
    return str(card.locator(".body").text_content()).removeprefix(prompt)


def wait_texts(page: Page, *runs: str) -> dict[str, str]:
    """The continuations, once those of exactly these runs are written."""
    cards = page.locator(".st-key-texts section")
    expect(cards).to_have_count(len(runs))
    for number, run in enumerate(runs):
        expect(cards.nth(number)).to_have_attribute("aria-label", run)
    wait_answers(page)
    expect(cards.locator(".token").first).to_be_visible()
    return texts(page)


def write(page: Page, prompt: str) -> None:
    """Type a prompt and apply it."""
    field = element(page, "prompt").get_by_role("textbox")
    field.fill(prompt)
    field.press("Enter")
    wait_idle(page)
    wait_answers(page)


def tokens(page: Page) -> list[str]:
    """The tokens of the strip, spaces and line ends made visible."""
    return element(page, "strip").get_by_role("option").all_inner_texts()


def select_token(page: Page, index: int) -> None:
    """Click a token of the strip; returns when the page speaks of it."""
    element(page, "strip").get_by_role("option").nth(index).click()
    expect(number(page, "lens_token")).to_have_value(str(index))
    wait_answers(page)


def number(page: Page, key: str) -> Any:
    """A number field by its key."""
    return element(page, key).get_by_role("spinbutton")


def set_number(page: Page, key: str, value: float) -> None:
    """Type a number and apply it."""
    field = number(page, key)
    field.fill(f"{value:g}")
    field.press("Enter")
    wait_idle(page)


def clamp_listed_neuron(page: Page, row: int = 0) -> str:
    """Click + on a row of the neuron list; the site that is now in the tray."""
    wait_idle(page)  # until then the rows may still change places
    buttons = page.locator(".st-key-neurons button.plus")
    site = str(buttons.nth(row).get_attribute("title")).removeprefix("Clamp ")
    page.locator(f'.st-key-neurons button.plus[title="Clamp {site}"]').click()
    expect(tray(page)).to_contain_text(site)
    return site


def tray(page: Page) -> Any:
    """The sidebar, where the tray is."""
    return page.get_by_test_id("stSidebar")


def press(page: Page, key: str) -> None:
    """Click a button of the tray: tray_undo, tray_redo, tray_off, tray_clear."""
    element(page, key).get_by_role("button").click()
    wait_idle(page)


def shown(page: Page) -> dict[str, Any]:
    """Everything a link must bring back, as it stands on the page."""
    selected = element(page, "strip").locator("[aria-selected=true]")
    return {
        "prompt": element(page, "prompt").get_by_role("textbox").input_value(),
        "tokens": tokens(page),
        "selected": selected.all_inner_texts(),
        "layer": number(page, "work_selection_layer").input_value(),
        "head": number(page, "head_head").input_value(),
        "cell": page.locator(".eido-card").all_inner_texts(),
        "clamps": page.locator("[class*='st-key-clamp_'][class*='_on']").all_inner_texts(),
        "neurons": page.locator(".st-key-neurons .site").all_inner_texts(),
        "texts": texts(page),
    }
