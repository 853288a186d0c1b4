"""What a fine-tune changed, a direction carried over, and where two models part."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from core.figures import flips as flipping
from core.figures import shift as drawing
from core.figures import translate as carrying
from core.figures.wording import number
from core.results.direction import short
from core.results.flips import Flips
from core.results.shift import Shift
from core.spec.links import to_query
from core.spec.request import Request, ask
from core.spec.site import Site
from pages.shared import state
from pages.shared.notices import code, sentence, shown_text
from pages.shared.sections import compare_models, concept, geometry_steer, ways
from pages.shared.sections.begun import begun
from pages.shared.sections.compare_models import Pair
from pages.shared.sections.one_figure import one_figure
from pages.shared.sections.view import Patience
from pages.shared.sections.ways import Way

WAYS = {
    "steering": Way(
        "does the shift do it",
        "The mean difference of the two models' states, added to A at one layer: what share of the "
        "way to B's answers it goes, on texts it was not made from. Grey: random directions of the "
        "same length. Dotted: each text's own shift, the most a layer can do.",
    ),
    "dose": Way("how much of it", "The same at the best layer for multiples of the shift."),
    "direction": Way(
        "the shift",
        "Its length beside the stream's, how steadily texts shift the same way, and how well it "
        "tells whose state a state is. Grey: signs and labels at random.",
    ),
    "heads": Way(
        "heads",
        "How far what each head writes changed, and its weights. Control: what two unrelated "
        "tokens differ by, and the next head's weights. Click one to open it.",
    ),
    "neurons": Way("neurons", "The neurons that changed most, in what they write and in weights."),
    "texts": Way("texts", "The texts whose states moved furthest behind the layer."),
}
FLIPS = {
    "flips": Way(
        "texts",
        "Where the next-token distributions of the two are furthest apart: what each says there. "
        "Control: B's distribution at another place.",
    ),
    "components": Way(
        "which part",
        "Each component of B put into A at these places: the share of the difference it makes up "
        "for. Grey: the stream moved as far at random.",
    ),
    "layers": Way("by layer", "The same, summed by layer."),
    "lens": Way("when it shows", "The margin between the two answers by the lens, at every layer."),
    "words": Way(
        "words",
        "Words whose texts the models disagree on most, beside as many texts drawn at random.",
    ),
    "kl": Way("all places", "How large the disagreement is over all places, beside the control."),
}
CARRY = {
    "reading": Way(
        "reads there",
        "The direction built in A, carried to B by a linear map learned on other texts, and how "
        "well it tells B's held-out states apart; beside B's own direction, random directions "
        "through the same map, and a map of shuffled texts.",
    ),
    "steering": Way(
        "steers there",
        "How far adding it in B moves answers its way, beside random ones.",
    ),
    "direction": Way("the same direction", "Its cosine with B's own, and how good the map is."),
}
TEACH = "Both models read the texts, then A answers them again with the shift: half a minute or so."
TEACH_FLIPS = "Both models read all texts; in one architecture parts of B are put into A: a minute."
TEACH_CARRY = "Both models read the texts and the concept; a map is learned: some seconds."
UNLIKE = (
    "These two are not of one architecture, so their states cannot be subtracted. Under “Carry a "
    "direction over” a map between them is learned, and “Counterparts” looks for like units."
)
LINKS = 6


def question(of: Pair, texts: dict[str, Any]) -> Request:
    return ask("shift", of[0], other=str(of[1]), seed=state.workspace().seed, **texts)


def flips_question(of: Pair, texts: dict[str, Any]) -> Request:
    return ask("flips", of[0], other=str(of[1]), seed=state.workspace().seed, **texts)


def draw(of: Pair, texts: dict[str, Any], patience: Patience) -> None:
    """The difference-of-models direction, what it does, and which units changed."""
    if not compare_models.alike(of):
        sentence(UNLIKE, "info")
        return
    request = question(of, texts)
    found = begun(
        request, key="shift", label="Find the shift", teach=TEACH, grace=patience.left(), height=420
    )
    if not isinstance(found, Shift):
        return
    view, help_ = ways.chosen(WAYS)
    more: dict[str, Any] = {}
    if view == "texts":
        chosen = ways.depth(found.best, len(found.length) - 1)
        more["layer"] = found.best if chosen is None else chosen
    one_figure(
        request, drawing, key="shift", title="What changed from A to B", help=help_, grace=0.0,
        height=420, grid=view == "heads", view=view, on_pick=_pick if view == "heads" else None,
        **more,
    )  # fmt: skip
    _changed(found)
    geometry_steer.along(
        Site(found.best, "resid_post", stack=found.stack),
        tuple(short(found.direction[found.best])),
        float(np.linalg.norm(found.direction[found.best])) * 4,
        name=f"the shift at layer {found.best}",
    )


def _pick(_: Any, cell: Sequence[int]) -> None:
    state.select(layer=int(cell[0]), head=int(cell[1]))


def changed(values: np.ndarray, control: np.ndarray, n: int) -> list[tuple[int, int, float, float]]:
    """(layer, unit, change, its control) of the units that changed most, most first."""
    if not values.size:
        return []
    order = np.argsort(-np.nan_to_num(values), axis=None, kind="stable")[:n]
    rows, units = np.unravel_index(order, values.shape)
    return [
        (int(r), int(u), float(values[r, u]), float(control[r, u]))
        for r, u in zip(rows, units, strict=True)
    ]


def _changed(found: Shift) -> None:
    """Heads and neurons that changed most, as doors."""
    for page, unit, values, control in (
        ("pages/heads.py", "head", found.head_wrote, found.control_head_wrote),
        ("pages/neurons.py", "neuron", found.neuron_wrote, found.control_neuron_wrote),
    ):
        rows = changed(values, control, LINKS)
        if not rows:
            continue
        st.caption(f"{unit.capitalize()}s that write most differently (two unrelated tokens):")
        with st.container(horizontal=True, gap="small"):
            for layer, number_, change, beside in rows:
                work = state.workspace()
                chosen = replace(work.selection, layer=layer, **{unit: number_})
                st.page_link(
                    page,
                    label=f"{code(f'L{layer}.{unit}[{number_}]')} {number(change)} "
                    f"({number(beside)})",
                    query_params=to_query(replace(work, selection=chosen)),
                )


def flipped(of: Pair, texts: dict[str, Any], patience: Patience) -> None:
    """Texts on which the two disagree most, and the components responsible."""
    request = flips_question(of, texts)
    found = begun(
        request, key="flips", label="Look for texts they disagree on", teach=TEACH_FLIPS,
        grace=patience.left(), height=460,
    )  # fmt: skip
    if not isinstance(found, Flips):
        return
    shown = FLIPS if not found.why_no_parts else {
        key: way for key, way in FLIPS.items() if key not in ("components", "layers")
    }  # fmt: skip
    if found.why_no_parts:
        sentence(f"Parts are not exchanged: {found.why_no_parts}.", "info")
    view, help_ = ways.chosen(shown)
    one_figure(
        request, flipping, key="flips", title="Where they disagree most", help=help_, grace=0.0,
        height=460, view=view,
    )  # fmt: skip
    st.caption("Open a text in Steer, both models beside each other:")
    with st.container(gap="small"):
        for number_, text in enumerate(found.texts[:LINKS]):
            work = replace(state.workspace(), prompt=text)
            words = shown_text(text[-70:], 70)
            says = f"{found.says_here[number_][0]!r} or {found.says_there[number_][0]!r}"
            st.page_link(
                "pages/steer.py", label=f"… {code(words, 80)} {code(says, 60)}",
                query_params=to_query(work),
            )  # fmt: skip


def carried(of: Pair, texts: dict[str, Any], patience: Patience) -> None:
    """A concept's direction built in A, carried to B, tested there."""
    meant = concept.draw()
    if meant is None:
        return
    request = ask(
        "translate", of[0], other=str(of[1]), concept=concept.option(meant),
        seed=state.workspace().seed, **texts,
    )  # fmt: skip
    found = begun(
        request, key="translate", label="Carry it over", teach=TEACH_CARRY, grace=patience.left(),
        height=420,
    )  # fmt: skip
    if found is None:
        return
    view, help_ = ways.chosen(CARRY)
    one_figure(
        request, carrying, key="translate", title=f"{meant.name}, from A to B", help=help_,
        grace=0.0, height=420, view=view,
    )  # fmt: skip
