"""Several labelled sets in one model, each a small curve, in the order they become readable."""

import streamlit as st

from core import labelled
from core.figures import depth as drawing
from core.figures import depth_many
from core.figures.wording import count
from core.results.depth import Depth
from core.spec.request import ModelRef
from pages.shared import state
from pages.shared.clicks import pickable_chart
from pages.shared.notices import sentence, small
from pages.shared.panels import asked, drawn_again, look
from pages.shared.sections import depth_curve
from pages.shared.sections.framed import framed
from pages.shared.sections.view import Patience

HELP = (
    "One probe for each set of texts and layer. Solid with its band: held-out texts and their "
    "95 % interval. Grey: shuffled labels. Dotted: words alone, the token alone or the largest "
    "class, whichever is most. Upright: readable from here on. In the order in which they become "
    "readable; what never rises above its floor stands last. “random labels” is a false alarm "
    "wherever it is found. Click a curve to look into its set."
)
LEVELS = (
    "animals", "review", "gender carried", "sums above ten", "truth of sums", "random labels",
)  # fmt: skip
GATHERED = {
    "levels": "easy to hard",
    "words": "words",
    "feeling": "feeling",
    "context": "context",
    "truth": "true or false",
    "reasoning": "reasoning",
}
LARGEST = 1_000  # texts of a set; larger ones are looked at one by one


def names(gathered: str) -> tuple[str, ...]:
    """The sets of a group, in the order of the list of sets."""
    if gathered == "levels":
        return LEVELS
    entries = labelled.built_in().values()
    return tuple(one.name for one in entries if one.topic == gathered and one.n <= LARGEST)


def draw(model: ModelRef, patience: Patience) -> None:
    gathered = state.chosen(
        st.segmented_control, "Which sets", list(GATHERED), name="gathered",
        format_func=GATHERED.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
    depth_curve.controls(None)
    wanted = names(gathered)
    jobs = {
        name: asked().ask(
            f"depth_{name}", depth_curve.question(model, ("labelled", name)), bulk=True
        )
        for name in wanted
    }
    for job in jobs.values():
        job.wait(patience.left())
    for name, job in jobs.items():
        if job.state == "failed":
            sentence(f"{name}: {job.error}")
    if stopped := [name for name, job in jobs.items() if job.state in ("failed", "cancelled")]:
        st.button(f"Ask again for {count(len(stopped), 'set')}", key="depth_many_again",
                  on_click=_again, args=(stopped,))  # fmt: skip
    there = [(name, job.result) for name, job in jobs.items() if job.state == "done"]
    open_ = [job for job in jobs.values() if not job.finished]
    if open_:
        said = f"working · {len(there)} of {count(len(wanted), 'set')} done"
        st.html(f'<div class="eido-quiet" role="status">{said}</div>')
        st.progress(len(there) / len(wanted))
        drawn_again(open_[0])
    score = state.workspace().choice("metric")
    found = depth_many.order([(n, r) for n, r in there if isinstance(r, Depth)], score)
    if found:
        _show(found, score)


def _show(found: list[tuple[str, Depth]], score: str) -> None:
    with framed("In which order they become readable", HELP, key="depth_many"):
        pickable_chart(
            depth_many.multiples(found, look(), score=score),
            key="depth_many_chart",
            label="Depth of several sets",
            on_pick=lambda cell: _open(found[int(cell[1]) // depth_many.TRACES][0]),
            grid=False,
        )
        st.dataframe(depth_many.rows(found, score), hide_index=True, height="content")
        first = drawing.caption(found[0][1]).partition(";")[0]
        foot = f"{first}; labels shuffled 20 times a set; selectivity at the best layer"
        st.html(small(foot, quiet=True))


def _again(stopped: list[str]) -> None:
    for name in stopped:
        asked().forget(f"depth_{name}")


def _open(name: str) -> None:
    """Look into one of them."""
    work = state.workspace().with_choice("labelled", name).with_choice("depths", "one")
    state.set_workspace(work)
