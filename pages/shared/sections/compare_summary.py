"""Two models in sentences: where they agree, where they differ most, each a door to its page."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import streamlit as st

from core.figures import compare as drawing
from core.figures.wording import number
from core.jobs import Job
from core.results.compare import Compare
from core.results.flips import Flips
from core.results.match import Match
from core.results.shift import Shift
from core.spec.links import to_query
from core.spec.request import Request
from core.spec.workspace import Workspace
from pages.shared import state
from pages.shared.notices import code, shown_text, small
from pages.shared.panels import asked, drawn_again
from pages.shared.sections import compare_counterparts as counterparts
from pages.shared.sections import compare_likeness, compare_shift
from pages.shared.sections.compare_models import Pair, alike
from pages.shared.sections.one_figure import one_figure
from pages.shared.sections.view import Patience

HELP = (
    "How alike corresponding layers arrange the same texts. Dashed: the texts of one model in "
    "random order. Below: what differs most, in numbers, each a door to the page where it can be "
    "looked into with both models beside each other."
)
ROWS = 4


@dataclass(frozen=True, slots=True)
class Line:
    """One statement and the page that shows it."""

    words: str
    page: str = ""
    work: Workspace | None = None


def draw(of: Pair, texts: dict[str, Any], patience: Patience) -> None:
    """The strip of agreement, and below it what is found out one after the other."""
    request = compare_likeness.question(of, texts)
    found = one_figure(
        request, drawing, key="compare", title="How alike, layer by layer", help=HELP,
        grace=patience.left(), height=380, view="likeness",
    )  # fmt: skip
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, key="agree"):
        st.html("<b>Where they agree</b>")
        if isinstance(found, Compare):
            _lines(_alike_lines(found))
        match = _answer("match_neuron", counterparts.question(of, texts, "neuron"), patience)
        if isinstance(match, Match):
            _lines(_match_lines(match))
    with right, st.container(border=True, key="differ"):
        st.html("<b>Where they differ most</b>")
        if isinstance(found, Compare):
            _lines(_least_lines(found))
        if alike(of):
            shift = _answer("shift", compare_shift.question(of, texts), patience)
            if isinstance(shift, Shift):
                _lines(_shift_lines(shift))
        flips = _answer("flips", compare_shift.flips_question(of, texts), patience)
        if isinstance(flips, Flips):
            _lines(_flip_lines(flips))


def _answer(key: str, request: Request, patience: Patience) -> object:
    """An answer that fills its lines when it is there; it gives way to what else is asked."""
    job: Job = asked().ask(key, request, bulk=True)
    job.wait(patience.left())
    if job.state == "done":
        return job.result
    if job.state == "failed":
        st.html(small(job.error, quiet=True))
    else:
        st.html(small(f"{shown_text(job.note, 60) or 'waiting'} …", quiet=True))
        drawn_again(job)
    return None


def _lines(lines: Iterator[Line]) -> None:
    for line in lines:
        with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
            st.markdown(line.words, width="stretch")
            if line.page and line.work is not None:
                st.page_link(
                    f"pages/{line.page}.py", label="open", query_params=to_query(line.work),
                    width="content",
                )  # fmt: skip


def _alike_lines(found: Compare) -> Iterator[Line]:
    rows = np.arange(len(found.cka))
    band = found.cka[rows, found.counterpart]
    chance = found.control_cka_high[rows, found.counterpart]
    best = int(np.nanargmax(band))
    fresh = found.fresh_cka[best, found.counterpart[best]]
    beside = f"; fresh weights {number(fresh)}" if np.isfinite(fresh) else ""
    yield Line(
        f"Most alike {_at(best)}: CKA {number(band[best])} (random order "
        f"{number(chance[best])}{beside}), over {found.n_items:,} texts.",
        "compare", _with("layers"),
    )  # fmt: skip
    overlap = found.overlap[rows, found.counterpart]
    yield Line(
        f"A text's ten nearest neighbours are shared to {overlap.mean():.0%} on average "
        f"(by chance {found.chance_overlap:.0%})."
    )


def _least_lines(found: Compare) -> Iterator[Line]:
    rows = np.arange(len(found.cka))
    band = found.cka[rows, found.counterpart]
    least = int(np.nanargmin(band))
    yield Line(f"Least alike {_at(least)}: CKA {number(band[least])}.", "compare", _with("layers"))
    if len(found.weight_names):
        yield Line(
            f"The weights that moved most: {code(found.weight_names[0], 60)}, by "
            f"{number(found.weight_moved[0])} of their length."
        )


def _match_lines(found: Match) -> Iterator[Line]:
    share = found.matched.mean()
    words = f"{share:.0%} of A's neurons have a counterpart in B beyond random mixtures"
    if len(found.same_index):
        n = np.arange(len(found.partner))
        words += f"; {(found.partner == n).mean():.0%} find the one of their own number"
    yield Line(f"{words}.", "compare", _with("units"))


def _shift_lines(found: Shift) -> Iterator[Line]:
    before, best = float(np.mean(found.kl_before)), found.best
    yield Line(
        f"B's answers are {number(before)} nats from A's; adding the mean shift at layer {best} "
        f"goes {found.recovered[best]:.0%} of the way (random directions "
        f"{found.recovered_random[best]:.0%}).",
        "compare", _with("shift"),
    )  # fmt: skip
    for page, unit, values, control in (
        ("heads", "head", found.head_wrote, found.control_head_wrote),
        ("neurons", "neuron", found.neuron_wrote, found.control_neuron_wrote),
    ):
        for layer, n, change, beside in compare_shift.changed(values, control, ROWS // 2):
            work = state.workspace()
            chosen = replace(work.selection, layer=layer, **{unit: n})
            yield Line(
                f"{code(f'L{layer}.{unit}[{n}]')} writes {number(change)} differently (two "
                f"unrelated tokens {number(beside)}).",
                page, replace(work, selection=chosen),
            )  # fmt: skip


def _flip_lines(found: Flips) -> Iterator[Line]:
    yield Line(
        f"Another first choice at {found.differs:.1%} of {found.n_places:,} places.",
        "compare", _with("flips"),
    )  # fmt: skip
    for n, text in enumerate(found.texts[:ROWS]):
        work = replace(state.workspace(), prompt=text)
        yield Line(
            f"After … {code(text[-48:], 60)} A says {code(found.says_here[n][0], 24)}, B "
            f"{code(found.says_there[n][0], 24)} (KL {number(found.listed_kl[n])}).",
            "steer", work,
        )  # fmt: skip


def _with(name: str) -> Workspace:
    return state.workspace().with_choice("comparing", name)


def _at(row: int) -> str:
    return "at the embedding" if row == 0 else f"behind layer {row - 1}"
