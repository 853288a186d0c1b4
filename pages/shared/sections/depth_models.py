"""Several models on one labelled set: all in one figure by share of the depth, and as a table."""

from collections.abc import Sequence

import streamlit as st

from core.figures import depth as drawing
from core.figures import depth_many
from core.results.depth import Depth
from core.results.depth_curves import together
from core.spec.request import ModelRef
from pages.shared import pickers, state
from pages.shared.clicks import pickable_chart
from pages.shared.notices import small
from pages.shared.panels import export_row, look
from pages.shared.sections.framed import framed, line

HELP = (
    "All models on the same texts and folds, by share of the depth, so that models of different "
    "depth compare. Band: 95 % interval; dashed with its grey band: shuffled labels; dotted: "
    "words, token or largest class, whichever is most; upright: readable from here. Click a point "
    "of model A to look into that layer. The export holds every curve of all models."
)


def draw(found: Sequence[tuple[ModelRef, Depth]], code: str) -> None:
    """The answers of two or three models, A first; `code` computes that of A."""
    named = [(pickers.short(model), one) for model, one in found]
    score = state.workspace().choice("metric")
    with framed("Readable from which depth on", HELP, key="depth_A"):
        st.html("".join(small(f"{name}: {drawing.sentence(one, score)}") for name, one in named))
        pickable_chart(
            depth_many.overlay(named, look(), score=score),
            key="depth_A_chart",
            label="Readable from which depth on",
            on_pick=_look,
            grid=False,
        )
        rows = depth_many.rows(named, score)
        shares = [{"model": row.pop("texts"), "depth": _share(one, score), **row}
                  for row, (_, one) in zip(rows, named, strict=True)]  # fmt: skip
        st.dataframe(shares, hide_index=True, height="content")
        curves = together([(str(model), one.concept, one) for model, one in found])
        with line():
            st.html(small(drawing.caption(found[0][1]), quiet=True), width="stretch")
            with st.container(width="content"):
                export_row(curves, key="depth_A", python=python([m for m, _ in found], code))


def _share(one: Depth, score: str) -> str:
    """Onset as a share of the depth."""
    onset = one.onset(score)
    return "–" if onset is None else f"{onset / max(1, one.n_layers):.2f}"


def _look(cell: Sequence[int]) -> None:
    """Into the layer of a point of model A."""
    if cell[1] < depth_many.TRACES:
        state.choose("depth", str(int(cell[0])))


def python(models: Sequence[ModelRef], code: str) -> str:
    """The lines of model A for all of them."""
    names = ", ".join(repr(model.name) for model in models)
    lines = [line for line in code.splitlines() if line.strip()]
    run = next(line for line in lines if line.startswith("result = "))
    call = run.partition("= ")[2]
    return "\n".join(
        ["from core import api", "", "results = {}", f"for name in ({names}):",
         "    m = api.load(name)", f"    results[name] = {call}"]
    )  # fmt: skip
