"""Does a walk on a graph re-arrange the words it is made of? Pictures, beside averaging."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.figures import graph_tracing as drawing
from core.results.graph_tracing import GraphTracing
from core.spec.request import ModelRef, Request, ask
from pages.shared import state
from pages.shared.sections.begun import begun
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import Patience

TEACH = (
    "Words stand on the nodes of a graph, and the model reads sixteen random walks on it, then the "
    "same in random order and with fresh weights. Seconds on the embedded model, minutes on a "
    "large one."
)
HELPS = {
    "accuracy": (
        "Look here first: the probability of the next word that lies on neighbours of the present "
        "one, against the words seen. Grey: the same graph with its words permuted. A model that "
        "does not learn where walks go cannot be expected to draw the graph."
    ),
    "picture": (
        "Mean states of the words over the last words seen, in their two principal components, "
        "with the edges of the graph; turned, never stretched, towards it. Right: random vectors "
        "averaged once with their neighbours, which know nothing of a walk. A picture as good as "
        "that shows averaging, such as by a head that looks at the token before."
    ),
    "states": (
        "Single states of the last words seen, filled in the colour of the word, bordered in that "
        "of the word before it. Where borders sort the points, the word before is what is seen."
    ),
    "energy": (
        "Mean squared distance of neighbours over that of all pairs; 1: the states know nothing of "
        "the graph. In brackets walks in random order; a star: below 95 % of averaging alone. "
        "Click a cell for its picture."
    ),
    "ablation": (
        "The strongest induction heads, the strongest heads for the token before, and random ones, "
        "put to zero while the walks are read."
    ),
}
TITLES = {
    "accuracy": "Does it learn where the walk goes?",
    "picture": "Where the words lie",
    "states": "Single states",
    "energy": "Energy by layer and words seen",
    "ablation": "Which heads it takes",
}
WAYS = {
    "accuracy": "what is foretold",
    "picture": "picture",
    "states": "single states",
    "energy": "energy",
    "ablation": "without heads",
}
GRAPHS = {
    "grid": "grid of 16",
    "ring": "ring of 10",
    "hexagon": "two by two hexagons",
    "weekdays": "a week in another order",
}
LENGTHS = ("100", "250", "500", "1000", "1400")
SILENCED = 4  # heads of each set


def draw(model: ModelRef, patience: Patience) -> None:
    _controls()
    request = question(model)
    found = begun(
        request, key="graph_tracing", label="Begin to walk", teach=TEACH,
        grace=patience.left(), height=440,
    )  # fmt: skip
    if isinstance(found, GraphTracing):
        _show(found, request, patience)


def question(model: ModelRef) -> Request:
    """The walks as they are chosen; words that stand twice are a sentence of the analysis."""
    work = state.workspace()
    words = tuple(
        word for word in (each.strip() for each in work.choice("nodes").split(",")) if word
    )
    options: dict[str, Any] = {"nodes": words} if words else {}
    options |= {"ablate": SILENCED} if work.choice("silenced") == "yes" else {}
    length = work.choice("walked")
    return ask(
        "graph_tracing", model, graph=work.choice("graph"), seed=work.seed,
        length=int(length if length in LENGTHS else LENGTHS[1]), **options,
    )  # fmt: skip


def _controls() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state.chosen(
            st.selectbox, "Graph", list(GRAPHS), name="graph", format_func=GRAPHS.__getitem__,
            width=220,
        )  # fmt: skip
        state.chosen(
            st.selectbox, "Words of a walk", list(LENGTHS), name="walked", width=150,
            help="At most what the model reads at once. Published: 1,400.",
        )  # fmt: skip
        state.field(
            st.text_input, "Words on the nodes", key="graph_nodes",
            value=state.workspace().choice("nodes"), placeholder="built-in; or your own, by commas",
            then=lambda words: state.choose("nodes", words),
            help="Each one token of the model. A ring takes 5 words or more, a grid 6, 8, 9 ...",
        )  # fmt: skip
        state.field(
            st.toggle, "Without heads too", key="graph_silenced", width="content",
            value=state.workspace().choice("silenced") == "yes",
            then=lambda on: state.choose("silenced", "yes" if on else ""),
        )  # fmt: skip


def _show(found: GraphTracing, request: Request, patience: Patience) -> None:
    ways = {name: label for name, label in WAYS.items() if name != "ablation" or found.ablated}
    shown = way(ways, name="viewed")
    chosen: dict[str, Any] = {}
    if shown in ("picture", "states"):
        chosen = _where(found, sliding=shown == "picture")
    one_figure(
        request, drawing, key="graph_tracing", title=TITLES[shown], help=HELPS[shown],
        grace=patience.left(), height=440, grid=shown == "energy", view=shown,
        on_pick=_pick if shown == "energy" else None, **chosen,
    )  # fmt: skip


def _where(found: GraphTracing, *, sliding: bool) -> dict[str, Any]:
    """The row of the stream, and the number of words seen, by sliders."""
    rows, contexts = len(found.sites), [str(each) for each in found.context.tolist()]
    row = state.workspace().choice("row")
    row = row if row.isdigit() and int(row) < rows else str(found.best[1])
    after = state.workspace().choice("after")
    after = after if after in contexts else contexts[-1]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(contexts) > 1 and sliding:
            state.field(
                st.select_slider, "Words seen", contexts, key="graph_after", value=after,
                then=lambda words: state.choose("after", words),
            )  # fmt: skip
        state.field(
            st.select_slider, "Stream", [str(each) for each in range(rows)], key="graph_row",
            value=row, then=lambda chosen: state.choose("row", chosen),
            format_func=lambda each: found.sites[int(each)],
        )  # fmt: skip
    return {"context": contexts.index(after), "layer": int(row)}


def _pick(found: GraphTracing, cell: Sequence[int]) -> None:
    """See the picture of a layer after so many words."""
    work = state.workspace().with_choice("row", str(cell[0]))
    work = work.with_choice("after", str(int(found.context[cell[1]])))
    state.set_workspace(work.with_choice("viewed", "picture"))
