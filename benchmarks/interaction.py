"""In the browser: from a click to the changed picture, and from nothing to the start page.

Bars: 95 of 100 clicks within 150 ms when the answer is stored and within 400 ms when one
forward is needed; the start page within 3 s on a running server, within 8 s from nothing.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from benchmarks import machine
from benchmarks.report import Report, Row

# Distinct tokens, so that the picture of one can be told from that of another.
TEXT = (
    "Yesterday Tom walked to the old house near a river with his small dog and saw three red "
    "birds sitting on green trees while rain fell from dark clouds over every field, bridge, "
    "road and garden before night came"
)
CLICKS = 40
TRIES = 7

_ARM = """
([token, piece]) => {
  const chart = () => document.querySelector('.st-key-next_chart .js-plotly-plot');
  const numbers = () => JSON.stringify(Array.from(chart()?._fullData?.[0]?.x ?? []));
  const before = numbers();
  const changed = () =>
    document.querySelector('.eido-card')?.textContent.includes(`@${token} behind`)
    && document.querySelector('.st-key-next_panel')?.textContent.includes(`After “${piece}”`)
    && numbers() !== before;
  let began = null;
  addEventListener('pointerdown', () => { began = performance.now(); },
                   {capture: true, once: true});
  window.eidoscopeClick = new Promise((done, fail) => {
    setTimeout(() => fail(new Error(`no changed picture for token ${token} ${piece}`)), 30_000);
    const look = () => {
      // The frame after the one in which it was found is the first a person sees.
      if (began !== null && changed()) {
        requestAnimationFrame(() => done(performance.now() - began));
      } else {
        setTimeout(look, 4);
      }
    };
    look();
  });
}
"""

_HEADING = "[data-testid='stMain'] h1"
_PICTURE = ".st-key-start_lens_chart .js-plotly-plot .heatmaplayer image"


def run(*, repeats: int, threads: Sequence[int], allow_load: bool) -> Report:  # noqa: ARG001
    """Elapsed times only: what counts here is waiting. The server uses all cores it wants."""
    from tests.e2e.harness import Chromium, Server

    before = machine.busy_cores()
    with tempfile.TemporaryDirectory() as folder, Chromium(patience=120) as chromium:
        cold = [_cold(chromium, Server(Path(folder) / f"cold-{number}")) for number in range(TRIES)]
        with Server(Path(folder) / "home") as server:
            warm = [_visit(chromium, server.url) for _ in range(1 + max(TRIES, repeats))][1:]
            stored, fresh = _clicks(chromium, server.url)
    busy = max(before, machine.busy_cores())
    keep = busy <= machine.BUSY_LIMIT or allow_load
    measured = {
        ("start page, from nothing", "heading"): ([one[0] for one in cold], ""),
        ("start page, from nothing", "live picture"): ([one[1] for one in cold], "≤ 8000"),
        ("start page, running server", "heading"): ([one[0] for one in warm], ""),
        ("start page, running server", "live picture"): ([one[1] for one in warm], "≤ 3000"),
        ("click on a token", "answer stored"): (stored, "p95 ≤ 150"),
        ("click on a token", "one forward needed"): (fresh, "p95 ≤ 400"),
    }
    rows = tuple(
        Row(group, name, wall_ms=tuple(samples) if keep else (), bar=bar)
        for (group, name), (samples, bar) in measured.items()
    )
    conditions = {
        "model": "embedded",
        "clicks": f"{CLICKS} each, text of {len(TEXT.split())} words",
        "machine left alone": (
            "yes"
            if busy <= machine.BUSY_LIMIT
            else f"no, {busy:.1f} cores busy, so times are upper bounds"
        ),
    }
    return Report("interaction", machine.line(), machine.versions(), conditions, rows)


def _cold(chromium: Any, server: Any) -> tuple[float, float]:
    """From the start of the process to heading and picture of the start page, in ms."""
    began = time.perf_counter()
    with server:
        return _visit(chromium, server.url, began)


def _visit(chromium: Any, url: str, began: float | None = None) -> tuple[float, float]:
    """A new visitor of the start page: ms to the heading and to the live picture."""
    began = time.perf_counter() if began is None else began
    page = chromium.new_page()
    page.goto(url, wait_until="commit")
    page.locator(_HEADING).first.wait_for()
    heading = time.perf_counter() - began
    page.locator(_PICTURE).first.wait_for(state="attached")
    picture = time.perf_counter() - began
    page.context.close()
    return heading * 1_000, picture * 1_000


def _clicks(chromium: Any, url: str) -> tuple[list[float], list[float]]:
    """ms from the click on a token to its next-token picture: stored answers, new ones."""
    from tests.e2e.harness import wait_answers

    page = chromium.open(f"{url}/steer?{urlencode({'text': TEXT})}")
    wait_answers(page)
    strip = page.locator(".st-key-strip [role=option]")
    pieces = strip.all_inner_texts()
    places = [i for i, piece in enumerate(pieces) if pieces.count(piece) == 1][1:-1]

    def settle() -> None:
        wait_answers(page)

    fresh = [_click(page, strip, pieces, place, settle) for place in places[:CLICKS]]
    again = [places[number % 12] for number in range(CLICKS + 1)]
    stored = [_click(page, strip, pieces, place, settle) for place in again][1:]
    return stored, fresh


def _click(
    page: Any, strip: Any, pieces: Sequence[str], place: int, settle: Callable[[], None]
) -> float:
    token = strip.nth(place)
    token.scroll_into_view_if_needed()
    token.hover()
    page.evaluate(_ARM, [place, pieces[place]])
    token.click()
    elapsed = float(page.evaluate("window.eidoscopeClick"))
    settle()
    return elapsed
