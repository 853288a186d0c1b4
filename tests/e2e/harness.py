"""A running Eidoscope and people who visit it in Chromium, with every fault noted.

with Server(home) as app, Chromium() as chromium:
    page = chromium.open(app.url)
    wait_idle(page)
    assert chromium.problems() == [] and app.faults() == []
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

ROOT = Path(__file__).resolve().parents[2]

CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)

# On a deep link the front end first looks for its server below that path and gets a 404, then
# at the root. That is how Streamlit finds its base path.
BASE_PATH_PROBE = re.compile(r"^https?://[^/]+/.+/_stcore/(health|host-config)$")

# Console text about the missing graphics card of a test machine.
BENIGN = (
    "GPU stall due to ReadPixels",
    "GL Driver Message",
    "Automatic fallback to software WebGL",
    "[Violation]",
)


def find_chromium() -> str | None:
    """The browser's path: $CHROMIUM, one on the PATH, or the one Playwright downloaded."""
    if explicit := os.environ.get("CHROMIUM"):
        return explicit
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def why_not() -> str:
    """Why no browser can be driven here, as a sentence; empty when one can."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed; `make e2e` installs it"
    return "" if find_chromium() else "no Chromium found; install chromium or set CHROMIUM"


def free_port() -> int:
    """A TCP port of the loopback address that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tracebacks(log: str) -> list[str]:
    """The tracebacks in a log, each cut to its last 1,500 characters.

    Streamlit prints them in a frame and in colour, with escape codes between the words.
    """
    plain = re.sub(r"\x1b\[[0-9;]*m", "", log)
    return [part[-1_500:] for part in plain.split("Traceback (most recent call last)")[1:]]


class Server:
    """`streamlit run app.py` on a free port, with its own home folder, as a context manager."""

    def __init__(self, home: Path, *, patience: float = 60.0, **env: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.healthy_after = float("nan")  # seconds from start
        self._log = home.parent / f"{home.name}-server.log"
        self._patience = patience
        self._env = {
            **os.environ,
            "EIDOSCOPE_HOME": str(home),
            "HF_HUB_OFFLINE": "1",
            "PYTHONUNBUFFERED": "1",
            **env,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        began = time.monotonic()
        with self._log.open("wb") as sink:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py")),
                    f"--server.port={self.port}",
                    "--server.address=127.0.0.1",
                    "--server.headless=true",
                    "--server.fileWatcherType=none",
                    "--browser.gatherUsageStats=false",
                ],
                cwd=ROOT,
                env=self._env,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # one group to signal at the end
            )
        try:
            self._wait_healthy(began + self._patience)
        except BaseException:
            self.stop()
            raise
        self.healthy_after = time.monotonic() - began
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def faults(self) -> list[str]:
        """Tracebacks of the server so far."""
        return tracebacks(self.log)

    def _wait_healthy(self, deadline: float) -> None:
        assert self._process is not None
        while not self._answers():
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended at once:\n{self.log}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"the server gave no answer:\n{self.log}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
                return


class Chromium:
    """A headless browser; every page opened is a visitor of its own, its faults are noted."""

    def __init__(self, *, patience: float = 60.0) -> None:
        self._patience = patience
        self._stack = ExitStack()
        self._noted: list[str] = []
        self._pages: list[Page] = []

    def __enter__(self) -> Self:
        from playwright.sync_api import sync_playwright

        playwright = self._stack.enter_context(sync_playwright())
        self._browser = playwright.chromium.launch(
            executable_path=find_chromium(), headless=True, args=list(CHROMIUM_FLAGS)
        )
        self._stack.callback(self._browser.close)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def open(self, url: str, *, width: int = 1400, height: int = 900, dark: bool = False) -> "Page":
        """A new visitor at this address. One run has ended; see `wait_answers` for the rest."""
        page = self.new_page(width=width, height=height, dark=dark)
        page.goto(url, wait_until="domcontentloaded")
        page.wait_for_function(_IDLE, timeout=self._patience * 1000)
        return page

    def new_page(self, *, width: int = 1400, height: int = 900, dark: bool = False) -> "Page":
        """An empty page of a new visitor: own cookies, own session."""
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
        )
        context.set_default_timeout(self._patience * 1000)
        page = context.new_page()
        self._pages.append(page)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._noted.append(f"page error: {error}"))
        page.on("requestfailed", self._on_failed)
        page.on("response", self._on_response)
        page.on("dialog", self._on_dialog)
        return page

    def problems(self) -> list[str]:
        """Console errors, page errors, failed loads, dialogs and exception boxes so far."""
        boxes = [
            "exception box: " + box.inner_text().strip()[:2_000]
            for page in self._pages
            if not page.is_closed()
            for box in page.get_by_test_id("stException").all()
        ]
        return [*self._noted, *boxes]

    def picture(self, folder: Path, name: str) -> None:
        """Write what every open page shows as <name>-<number>.png."""
        folder.mkdir(exist_ok=True)
        for number, page in enumerate(self._pages):
            page.screenshot(path=folder / f"{name}-{number}.png")

    def forget(self) -> None:
        """Close every page and forget what was noted."""
        for page in self._pages:
            if not page.is_closed():
                page.context.close()
        self._pages.clear()
        self._noted.clear()

    def _on_console(self, message: Any) -> None:
        where = message.location.get("url", "")
        if message.type != "error" or any(text in message.text for text in BENIGN):
            return
        if not BASE_PATH_PROBE.match(where):
            self._noted.append(f"console: {message.text} [{where}]")

    def _on_failed(self, request: Any) -> None:
        # A load given up because the page moved on is not a fault.
        if request.failure and "ERR_ABORTED" not in request.failure:
            self._noted.append(f"load failed: {request.url} ({request.failure})")

    def _on_response(self, response: Any) -> None:
        if response.status >= 400 and not BASE_PATH_PROBE.match(response.url):
            self._noted.append(f"HTTP {response.status}: {response.url}")

    def _on_dialog(self, dialog: Any) -> None:
        self._noted.append(f"a script opened a dialog: {dialog.message}")
        dialog.dismiss()


_IDLE = """
() => {
  const app = document.querySelector('[data-testid="stApp"]');
  return !!app
    && app.getAttribute('data-test-connection-state') === 'CONNECTED'
    && app.getAttribute('data-test-script-state') === 'notRunning'
    && !document.querySelector('[data-testid="stSkeleton"]');
}
"""


def wait_idle(page: "Page", *, timeout: float = 30.0, quiet: float = 0.15) -> None:
    """Return once the app has been connected and not running for `quiet` seconds.

    A click reaches the server some milliseconds later, so one look right after it can see the
    state from before. When a known text must appear, prefer `expect(locator)`.
    """
    deadline = time.monotonic() + timeout
    still_since: float | None = None
    while time.monotonic() < deadline:
        now = time.monotonic()
        still_since = (still_since or now) if page.evaluate(_IDLE) else None
        if still_since is not None and now - still_since >= quiet:
            return
        page.wait_for_timeout(25)
    raise TimeoutError(f"the app was still busy after {timeout} s")


_ANSWERED = """
() => ![...document.querySelectorAll('[data-testid="stMain"] [role="status"]')]
    .some(found => /^(waiting for its turn|working)/.test(found.textContent.trim()))
"""


def wait_answers(page: "Page", *, timeout: float = 120.0) -> None:
    """Return once nothing on the page is being worked out any more and the app is idle."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        page.wait_for_function(_ANSWERED, timeout=max(1.0, deadline - time.monotonic()) * 1000)
        wait_idle(page, timeout=max(1.0, deadline - time.monotonic()))
        if page.evaluate(_ANSWERED):
            return
    raise TimeoutError(f"answers were still missing after {timeout} s")


def element(page: "Page", key: str) -> "Locator":
    """The element drawn with key=... (Streamlit gives it the class st-key-<key>)."""
    return page.locator(f".st-key-{key}").first


_DRAWN = """
key => {
  const chart = document.querySelector(`.st-key-${CSS.escape(key)} .js-plotly-plot`);
  return !!(chart && chart._fullLayout && chart.calcdata);
}
"""

_PIXEL = """
([key, x, y, trace]) => {
  const chart = document.querySelector(`.st-key-${CSS.escape(key)} .js-plotly-plot`);
  chart.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});
  const data = chart._fullData[trace];
  const axis = name => chart._fullLayout[name.charAt(0) + 'axis' + name.slice(1)];
  const horizontal = axis(data.xaxis || 'x'), vertical = axis(data.yaxis || 'y');
  const box = chart.getBoundingClientRect();
  return [box.left + horizontal._offset + horizontal.d2p(x),
          box.top + vertical._offset + vertical.d2p(y)];
}
"""


def wait_chart(page: "Page", key: str, *, timeout: float = 30.0) -> None:
    """Return once the Plotly chart with this key has drawn its axes."""
    page.wait_for_function(_DRAWN, arg=key, timeout=timeout * 1000)


def click_cell(page: "Page", key: str, *, row: float, column: float, trace: int = 0) -> None:
    """Click a cell of a heat map on integer axes: hover first, as a person does."""
    wait_chart(page, key)
    x, y = page.evaluate(_PIXEL, [key, column, row, trace])
    page.mouse.move(x - 3, y - 3)
    page.mouse.move(x, y)
    page.wait_for_timeout(60)  # Plotly clicks what it hovers, and throttles hovering
    page.mouse.click(x, y)
