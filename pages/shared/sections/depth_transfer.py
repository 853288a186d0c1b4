"""Does a probe of one set of texts read another? Sets against sets, layers against layers."""

from functools import partial

import streamlit as st

from core import labelled
from core.figures import transfer as drawing
from core.results.transfer import Transfer
from core.spec.request import ModelRef, Request, ask
from pages.shared import state
from pages.shared.notices import sentence
from pages.shared.sections import depth_probes
from pages.shared.sections.begun import begun
from pages.shared.sections.depth_many import LARGEST
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import Patience

TEACH = (
    "A probe is learned from each set at every layer and asked about every other, beside probes of "
    "shuffled labels. Seconds on the embedded model, minutes on a large one."
)
PAIRS = (
    "AUC of a probe learned from the set of the row and asked about the set of the column, at the "
    "layer that reads the sets best; on the diagonal texts are held out. In brackets: shuffled "
    "labels reach as much. Below 0.5 the probe is turned round. Lines part the topics. What reads "
    "only its own set may have learned the set, not the concept. Click a row to follow its probe."
)
LAYERS = (
    "The probe of one set, asked about every set at the layer it was learned at. Grey: where 90 % "
    "of probes on shuffled labels lie."
)
ACROSS = (
    "Learned at the layer of the row, read at that of the column, on held-out texts of the same "
    "set. A block is a code that stays; shuffled labels stand in the hover."
)
WAYS = {"pairs": "set by set", "layers": "by layer", "across": "layer by layer"}
FIRST = ("animals", "review", "review with not", "animal or food")
LEAST, MOST = 2, 10


def offered() -> list[str]:
    """The built-in sets that are not too large for it."""
    return [one.name for one in labelled.built_in().values() if one.n <= LARGEST]


def sets() -> list[str]:
    """The sets of the link that there are; of an empty one the first."""
    asked = state.workspace().choice("sets")
    names = asked.split(",") if asked else FIRST
    return [name for name in offered() if name in names][:MOST]


def question(model: ModelRef, chosen: list[str]) -> Request:
    work = state.workspace()
    return ask("transfer", model, sets=tuple(chosen), method=work.choice("family"), seed=work.seed)


def controls() -> None:
    """Which sets, and which probe is taken from one to the other."""
    state.field(
        st.multiselect, "Labelled texts", offered(), key="sets", value=sets(),
        then=lambda names: state.choose("sets", ",".join(names) or "none"),
        max_selections=MOST,
    )  # fmt: skip
    depth_probes.family()
    if len(sets()) < LEAST:
        sentence("Choose two sets or more: a probe of one is asked about the other.", "info")


def draw(model: ModelRef, patience: Patience) -> None:
    chosen = sets()
    if len(chosen) < LEAST:
        return
    request = question(model, chosen)
    found = begun(
        request, key="transfer", label="Take the probes across", teach=TEACH,
        grace=patience.left(), height=380,
    )  # fmt: skip
    if isinstance(found, Transfer):
        _show(found, request, patience)


def _show(found: Transfer, request: Request, patience: Patience) -> None:
    shown = way(WAYS, name="viewed")
    draws = partial(one_figure, request, drawing, key="transfer", grace=patience.left())
    if shown == "pairs":
        draws(title="Learned here, read there", help=PAIRS, grid=True,
              on_pick=lambda _, cell: _follow(found.sets[int(cell[0])]))  # fmt: skip
        return
    name = state.chosen(st.selectbox, "Learned from", list(found.sets), name="learned", width=260)
    row = found.sets.index(name)
    if shown == "layers":
        draws(figure=drawing.curves, title=f"Learned from {name}", help=LAYERS, train=row)
    else:
        title = f"{name}: learned at one layer, read at another"
        draws(figure=drawing.across, title=title, help=ACROSS, chosen=row)


def _follow(name: str) -> None:
    """See what the probe of this set reads, layer by layer."""
    work = state.workspace().with_choice("learned", name).with_choice("viewed", "layers")
    state.set_workspace(work)
