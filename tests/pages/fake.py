"""An engine that knows only made-up answers, so that pages are tested without a model.

It stands where `core.analyses` stands: the jobs, the worker, the store and the pages are real.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core import answers, jobs
from core.queue import Progress
from core.results.base import Result
from core.results.card import CardResult
from core.results.scale import ScaleResult
from core.spec.errors import Error
from core.spec.interventions import Ablate, Add, Clamp, Patch, Project, Scale
from core.spec.links import to_query
from core.spec.request import ModelRef, Request
from core.spec.site import site
from core.spec.workspace import Selection, TrayItem, Workspace
from core.store import store
from tests.pages import direction_samples, samples

ROOT = Path(__file__).resolve().parents[2]
SIZES = {
    "n_layers": 8, "n_heads": 6, "n_kv_heads": 6, "d_model": 192, "d_head": 32,
    "d_mlp": 768, "d_vocab": 4096, "n_ctx": 512,
}  # fmt: skip
UNIT, STEP = 3.25, 2.5  # observed maximum and 99.9th percentile of every site


def card(kind: str = "decoder", unavailable: tuple[tuple[str, str], ...] = ()) -> CardResult:
    """A model that passed its checks."""
    return CardResult(
        request={},
        model="embedded",
        family="llama",
        kind=kind,
        sizes=SIZES,
        n_parameters=6_890_000,
        dtype="float32",
        device="cpu",
        memory_bytes=27_600_000,
        needed_bytes=31_000_000,
        free_bytes=12_000_000_000,
        load_seconds=0.8,
        fingerprint="f" * 64,
        checks=(
            ("a", "resid_pre + attn_out + mlp_out = resid_post", "passed", "1.2e-07"),
            ("d", "pattern rows sum to 1", "not applicable", "no patterns in this family"),
        ),
        unavailable=unavailable,
        notes=("trained at 512 tokens",),
        about="A small model. <b>Not</b> a ![person](http://127.0.0.1:9/x.png).",
    )


def scale_of(at: str, *, along: bool) -> ScaleResult:
    """A site whose values reach `UNIT`."""
    low, high = -0.5 * STEP, 1.25 * STEP
    return ScaleResult({}, at, along, UNIT, STEP, low, high, 0.1, 20.0, 20_000, np.ones(5))


class FakeEngine:
    """Answers from `tests.pages.samples`; what was asked is in `asked`."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.card = card()
        self.hostile = False
        self.gate = threading.Event()  # cleared: nothing but cards is answered
        self.gate.set()

    def fetch(self, model: ModelRef, progress: Progress) -> None:
        progress.check()

    def salt(self, request: Request) -> str:
        return self.stamp(request.model)

    def stamp(self, model: ModelRef) -> str:
        if "missing" in model.name:
            raise Error(f"no folder {model.name!r}; write the path of a folder with config.json")
        return "fake"

    def answer(self, request: Request, progress: Progress) -> Result:
        self.asked.append(request)
        if request.analysis == "card":
            return self.card
        while not self.gate.wait(0.01):
            progress.check()
        if request.prompts and not request.prompts[0].strip():
            raise Error("the text is empty; write at least one word")
        return self._made_up(request)

    def _made_up(self, request: Request) -> Result:
        tokens = samples.HOSTILE if self.hostile else samples.PLAIN
        clamped = bool(request.interventions)
        at = str(request.option("at"))
        make: dict[str, Callable[[], Result]] = {
            "next_tokens": lambda: samples.next_tokens(tokens, clamped=clamped),
            "lens": lambda: samples.lens(tokens),
            "attention": lambda: samples.attention(tokens),
            "token_neurons": samples.token_neurons,
            "head_effect": samples.head_effect,
            "steer": lambda: samples.steer(clamped=clamped),
            "dose": samples.dose,
            "direction": lambda: direction_samples.direction(
                words=tokens[1:] if self.hostile else samples.VOCAB
            ),
            "guide": lambda: direction_samples.guide(tokens),
            "remove": lambda: direction_samples.remove(tokens),
            "erase": direction_samples.erase,
            "edited": lambda: direction_samples.edited(tokens),
            "scale": lambda: scale_of(at, along=bool(request.option("direction"))),
            "unit_effect": lambda: samples.unit_effect(
                "head" if ".head[" in at else "neuron", tokens[:12]
            ),
        }
        if request.analysis not in make:
            raise Error(f"no analysis {request.analysis!r}")
        return make[request.analysis]()

    def questions(self, analysis: str) -> list[Request]:
        return [request for request in self.asked if request.analysis == analysis]


def install(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Put a fake engine in the place of the real one, with nothing known yet."""
    engine = FakeEngine()
    monkeypatch.setattr(answers, "backend", lambda: engine)
    monkeypatch.setattr(answers, "_notes", answers.Notes())
    store().clear()
    st.cache_resource.clear()  # every visitor of a test run has the same session id
    return engine


def visit(page: str = "steer", address: str = "", *, seconds: float = 20.0) -> AppTest:
    """A new visitor who opens a page at this address (`"?layer=3"`); settled."""
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)
    for name, value in parse_qsl(address.lstrip("?"), keep_blank_values=True):
        at.query_params[name] = value
    if page != "start":
        at.switch_page(str(ROOT / f"pages/{page}.py"))
    return settled(at.run(), seconds)


def query(work: Workspace) -> str:
    """The address of this state, as `visit` takes it."""
    return "?" + urlencode(to_query(work))


def work(at: AppTest) -> Workspace:
    """What the visitor has chosen."""
    found: Workspace = at.session_state["_workspace"]
    return found


def settled(at: AppTest, seconds: float = 20.0) -> AppTest:
    """The page once nothing is being worked on any more. A fault on it fails the test."""
    deadline = time.monotonic() + seconds
    quiet = 0  # a run may ask for work that ends before anybody looks: only the next one shows it
    while True:
        assert not at.exception, at.exception[0].value
        busy = bool(jobs.snapshot())
        if time.monotonic() > deadline:
            raise TimeoutError(f"still at work: {jobs.snapshot()}")
        while jobs.snapshot() and time.monotonic() < deadline:
            time.sleep(0.01)
        at.run()
        quiet = 0 if busy or jobs.snapshot() else quiet + 1
        if quiet == 2:
            return at


def texts(at: AppTest) -> str:
    """Everything the page says, as one text; HTML as it is sent, without the style sheet."""
    kinds = ("markdown", "caption", "text", "title", "subheader", "code")
    parts = [str(element.value) for kind in kinds for element in at.get(kind)]
    parts += [body for body in htmls(at) if "<style" not in body]
    return "\n".join(parts)


def htmls(at: AppTest) -> list[str]:
    """The HTML the page sends, piece by piece."""
    return [str(element.proto.body) for element in at.get("html")]


def notes(at: AppTest) -> list[str]:
    """The sentences in boxes: errors and hints."""
    return [body for body in htmls(at) if 'class="eido-note' in body]


def field(at: AppTest, key: str) -> Any:
    """The widget drawn by `state.field` under this key, whatever its version."""
    kinds = (
        "number_input", "slider", "toggle", "text_input", "text_area", "selectbox", "button_group",
        "multiselect",
    )  # fmt: skip
    found = [w for kind in kinds for w in at.get(kind) if str(w.key).rpartition("__")[0] == key]
    assert len(found) == 1, f"{len(found)} widgets under {key}"
    return found[0]


def address(at: AppTest) -> dict[str, str]:
    """The query the address bar shows."""
    found = {name: at.query_params[name] for name in at.query_params}
    return {name: value[0] if isinstance(value, list) else value for name, value in found.items()}


def clamped(*values: float, unit: float = 2.0) -> Workspace:
    """A workspace with a clamp on neuron 0, 1, ... of layer 1."""
    items = [
        TrayItem(Clamp(site(f"L1.neuron[{n}]"), value), unit=unit) for n, value in enumerate(values)
    ]
    return Workspace(tray=tuple(items))


FULL = Workspace(
    models=(ModelRef("embedded"), ModelRef("embedded-small")),
    prompt="A & B = <b>C</b>?",
    selection=Selection(token=2, layer=3, head=1, neuron=9),
    tray=(
        TrayItem(Clamp(site("L1.neuron[17]"), 8.5), unit=3.5),
        TrayItem(Scale(site("L2.head[1]"), 0.5), on=False),
        TrayItem(Ablate(site("L0.mlp_out"), "mean")),
        TrayItem(Add(site("L3.resid_post"), (0.5, -0.25), 4.0)),
        TrayItem(Project(site("L3.resid_post"), (1.0, 0.0))),
        TrayItem(Patch(site("L2.resid_pre"), "another text")),
    ),
    seed=7,
    temperature=0.7,
    new_tokens=20,
)
