"""What makes a neuron fire: its texts, from the strongest to any, and how often it fires."""

import numpy as np
import streamlit as st

from core.figures import neuron_texts as drawing
from core.figures.wording import number, quoted
from core.results.neuron_texts import NeuronTexts
from core.spec.request import Request, ask
from core.spec.site import Site
from pages.shared import sides, state
from pages.shared.clicks import pickable_chart
from pages.shared.contexts import Context, contexts
from pages.shared.notices import sentence
from pages.shared.panels import answer
from pages.shared.sections import corpus, prompt
from pages.shared.sections.drawn import drawn
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.view import View, as_code

HELP = (
    "One pass over the text, all neurons at once. Top and bottom: where this neuron is largest and "
    "smallest; colour is its activation at every token. Look at the fifths too: an explanation "
    "that holds for the top texts alone explains little of what the neuron does. Sample: tokens "
    "drawn at random. The number at the left makes a text the prompt. Top token: how many of the "
    "strongest places fall on one token, beside the same for random tokens."
)
GROUPS = {
    "top": "strongest",
    "+5": "fifth 5", "+4": "fifth 4", "+3": "fifth 3", "+2": "fifth 2", "+1": "fifth 1",
    "bottom": "most negative",
    "sample": "random tokens",
}  # fmt: skip
BEFORE, AFTER = 28, 12  # tokens shown around the place


def question(view: View, site: Site) -> Request | None:
    """The texts of this neuron; None when the corpus is not at hand."""
    text = corpus.chosen()
    if text is None:
        return None
    # The clamps in place belong to the question: what makes it fire under them?
    return ask(
        "neuron_texts", view.model, interventions=view.changes,
        layer=site.layer, neuron=site.unit, corpus=text,
    )  # fmt: skip


def draw(view: View, site: Site, grace: float) -> None:
    corpus.draw()
    request = question(view, site)
    if request is None:
        sentence(corpus.GONE, "info")
        return
    found = answer(request, key="texts", grace=grace, height=260, bulk=True)
    if not isinstance(found, NeuronTexts):
        return
    with framed(f"When {site} fires", HELP, key="texts", shows=_facts(found)):
        left, right = sides.columns([7, 4], gap="medium")
        with left:
            _list(found)
        with right:
            fig = drawn(drawing.figure, found)
            pickable_chart(fig, key="texts_chart", label="Histogram of activations", on_pick=None)
        foot(found, drawing.caption(found), key="texts", python=as_code(request))


def _list(found: NeuronTexts) -> None:
    there = [name for name in GROUPS if name in found.group]
    shown = state.chosen(
        st.segmented_control, "Texts", there, name="texts", format_func=GROUPS.__getitem__,
        label_visibility="collapsed",
    )  # fmt: skip
    rows = [index for index, group in enumerate(found.group) if group == shown]
    contexts(
        [_context(found, index) for index in rows],
        key="contexts",
        label=f"Texts of {found.site}: {GROUPS[shown]}",
        limit=max(abs(found.largest), abs(found.smallest)),
        on_use=lambda row: _use(found, rows[row]),
    )


def _context(found: NeuronTexts, index: int) -> Context:
    """The tokens around the place that this text is shown for."""
    tokens, at = found.tokens[index], int(found.position[index])
    first, last = max(0, at - BEFORE), min(len(tokens), at + AFTER + 1)
    values = np.nan_to_num(found.activation[index, first:last])
    return Context(
        tokens=tokens[first:last],
        values=tuple(float(v) for v in values),
        peak=at - first,
        source=f"text {int(found.document[index])}",
    )


def _use(found: NeuronTexts, index: int) -> None:
    """Everything up to the place becomes the prompt, special tokens left out."""
    until = int(found.position[index]) + 1
    pairs = zip(found.tokens[index][:until], found.special[index][:until], strict=True)
    prompt.use("".join(token for token, special in pairs if not special).strip())


def _facts(found: NeuronTexts) -> str:
    chance, most = found.random_share
    parts = [
        f"Fires on {found.density:.2%} of the tokens",
        f"largest {number(found.largest)}, smallest {number(found.smallest)}, "
        f"99.9th percentile of the size {number(found.p999)}",
    ]
    if found.top_piece:
        parts.append(
            f"{found.top_share:.0%} of its {found.n_listed} strongest places are at "
            f"{quoted(found.top_piece)} (random tokens {chance:.0%}, at most {most:.0%})"
        )
    return "; ".join(parts)
