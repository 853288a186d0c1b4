"""Two heads side by side: patterns, scores with controls, what they write, what they cause."""

import html
import math
import re
from collections.abc import Sequence
from functools import partial

import streamlit as st

from core.figures import head_compare as drawing
from core.figures.wording import number, quoted
from core.results.head_compare import CASES, MEASURES, HeadCompare
from core.results.head_ovqk import HeadOvqk
from core.spec.request import Request
from core.spec.site import Site
from pages.shared import sides, state
from pages.shared.clicks import pickable_chart
from pages.shared.notices import sentence, small
from pages.shared.panels import answer
from pages.shared.sections import head_tokens
from pages.shared.sections.drawn import drawn
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.head_scores import Atlas
from pages.shared.sections.view import View, as_code

HELP = (
    "Both patterns on one scale from 0 to 1, and the first less the second: red where the first "
    "looks more. Likeness stands beside that of either with the other heads of their layers: most "
    "heads rest on the first token, so some is always there. What each causes is measured by "
    "ablating it; if both together cost more than the sum of each, one stands in for the other."
)
WRITES_HELP = (
    "By the weights alone, for the same tokens where you name some. What the weights could do says "
    "nothing about whether they do it on your text."
)
PICKS = {"head": "the first head", "other": "the second head"}
WORDS = {"first": "without {0}", "second": "without {1}", "both": "without both"}
_NAME = re.compile(r"\s*(?:enc\.)?L?(\d{1,4})\s*(?:\.head\[|\.|H|h|,|\s)\s*(\d{1,4})\]?\s*")


def draw(view: View, atlas: Atlas, at: tuple[int, int], grace: float) -> None:
    """The choice of the second head, then everything about the two."""
    _inputs(view, at)
    other = _other(view, atlas, at)
    if other is None:
        return
    request = question(view, at, other)
    found = answer(request, key="compare", grace=grace, height=360)
    if isinstance(found, HeadCompare):
        _framed(found, request)
    _scores(view, atlas, (at, other))
    _writes(view, (at, other), grace)


def question(view: View, at: tuple[int, int], other: tuple[int, int]) -> Request:
    return view.ask(
        "head_compare", layer=at[0], head=at[1], other_layer=other[0], other_head=other[1],
        seed=view.seed, **view.position,
    )  # fmt: skip


def _site(view: View, at: tuple[int, int]) -> Site:
    return Site(at[0], "head", at[1], stack=view.stack)


def _inputs(view: View, at: tuple[int, int]) -> None:
    if not sides.first():
        return
    held = state.workspace().choice("other")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state.field(
            st.text_input, f"{_site(view, at)} beside", key="other", value=held,
            then=_take, width=190, placeholder="L4.head[2]",
        )  # fmt: skip
        state.chosen(
            st.segmented_control, "A click on the map chooses", list(PICKS), name="picks",
            format_func=PICKS.__getitem__, width="content",
        )  # fmt: skip
        st.button(
            "swap", key="compare_swap", disabled=not held, on_click=state.attempt,
            args=(partial(_swap, view, at),), help="The second becomes the first",
        )  # fmt: skip


def _take(text: str) -> None:
    state.choose("other", text.strip())


def _swap(view: View, at: tuple[int, int]) -> None:
    other = named(state.workspace().choice("other"))
    if other is not None:
        state.choose("other", str(_site(view, at)))
        state.select(layer=other[0], head=other[1])


def named(text: str) -> tuple[int, int] | None:
    """(layer, head) of "L4.head[2]", "4.2" or "L4H2"; None for anything else."""
    found = _NAME.fullmatch(text)
    return (int(found[1]), int(found[2])) if found else None


def _other(view: View, atlas: Atlas, at: tuple[int, int]) -> tuple[int, int] | None:
    """The second head; None, with a sentence that says what to do, where there is none."""
    text = state.workspace().choice("other")
    if not text:
        sentence(
            f"Choose the head that {_site(view, at)} is compared with: write its name, or let "
            "clicks on the map choose the second head.", "info",
        )  # fmt: skip
        return None
    other = named(text)
    if other is None:
        sentence(f"“{text}” names no head; write layer and head, for example L4.head[2] or 4.2.")
        return None
    layers, heads = next(iter(atlas.scores.values())).values.shape
    if other[0] >= layers or other[1] >= heads:
        sentence(f"{_site(view, other)}: the model has layers 0 to {layers - 1} and heads 0 to "
                 f"{heads - 1} in each.")  # fmt: skip
        return None
    if other == at:
        sentence(
            f"{_site(view, at)} is held as the second head. Now choose the first: click another "
            "head in the map, the scatter, the table or the pictures.", "info",
        )  # fmt: skip
        return None
    return other


def _framed(found: HeadCompare, request: Request) -> None:
    first, second = found.heads
    with framed(f"{first} beside {second}", HELP, key="compare", shows=drawing.title(found)):
        names = (first, second, f"{first} − {second}")
        for place, view, name in zip(sides.columns(3), drawing.VIEWS, names, strict=True):
            with place:
                st.html(small(name, strong=True))
                pickable_chart(
                    drawn(drawing.figure, found, view=view),
                    key=f"compare_{view}",
                    label=name,
                    on_pick=lambda cell: _token(found, cell[0]),
                )
        left, right = sides.columns(2, gap="medium")
        with left:
            st.html(_alike(found))
        with right:
            st.html(_effects(found))
        foot(found, drawing.caption(found), key="compare", python=as_code(request))


def _token(found: HeadCompare, row: int) -> None:
    """A click in a row selects its token, the first of a cell."""
    state.select(token=min(int(row) * found.step, len(found.tokens) - 1))


def _alike(found: HeadCompare) -> str:
    rows = [
        (words, number(own), number(mean), number(most))
        for words, own, mean, most in zip(
            MEASURES.values(), found.alike, found.others, found.most, strict=True
        )
    ]
    return _table("How alike", ("", "these two", "other heads, mean", "largest"), rows)


def _effects(found: HeadCompare) -> str:
    if not found.answer:
        return small("The model foretells nothing, so what heads cause cannot be measured.")
    rows = [
        (WORDS[case].format(*found.heads), number(-own, sign=True), number(-control, sign=True))
        for case, own, control in zip(CASES, found.effect, found.control, strict=True)
    ]
    own, control = found.together
    rows.append(
        ("both, less the sum of each", number(-own, sign=True), number(-control, sign=True))
    )
    names = ("", f"log p of {quoted(found.answer)} changes by (nats)", "control")
    return _table("What they cause", names, rows) + small(drawing.together(found))


def _scores(view: View, atlas: Atlas, pair: tuple[tuple[int, int], tuple[int, int]]) -> None:
    """Every score of the two with its control, those first in which either stands out."""
    known = [
        (min(score.rank(*at) for at in pair), name, score)
        for name, score in atlas.scores.items()
        if not any(math.isnan(score.values[at]) for at in pair)
    ]
    rows = []
    for _, name, score in sorted(known, key=lambda one: one[0]):
        cells = []
        for at in pair:
            control = float("nan") if score.control is None else float(score.control[at])
            own = number(score.values[at], sign=score.signed)
            cells += [own, "–" if math.isnan(control) else number(control, sign=score.signed)]
            cells.append(str(score.rank(*at)))
        heads = atlas.heads
        chance = heads.threshold(name) if heads and name in heads.scores else float("nan")
        rows.append((f"{score.name} ({score.unit})", *cells, _known(chance)))
    if rows:
        names = [word for at in pair for word in (str(_site(view, at)), "control", "rank")]
        with st.container(border=True, key=sides.key("compare_scores")):
            st.html(_table("Scores", ("", *names, "chance"), rows))


def _known(value: float) -> str:
    return "–" if math.isnan(value) else number(value)


def _writes(view: View, pair: tuple[tuple[int, int], tuple[int, int]], grace: float) -> None:
    with framed("What each writes", WRITES_HELP, key="compare_writes"):
        head_tokens.source("Tokens they look at")
        for at, place, name in zip(pair, sides.columns(2, gap="medium"), CASES, strict=False):
            with place:
                st.html(small(str(_site(view, at)), strong=True))
                request = head_tokens.question(view, _site(view, at))
                found = answer(request, key=f"writes_{name}", grace=grace, height=200)
                if isinstance(found, HeadOvqk):
                    st.html(head_tokens.written(found))


def _table(title: str, names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table as harmless HTML."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join(
        f"<tr><th>{html.escape(row[0])}</th>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'{small(title, strong=True)}<div class="eido-scroll"><table class="eido-effects">'
        f"<tr>{head}</tr>{body}</table></div>"
    )
