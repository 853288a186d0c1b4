"""Where one head attends most in a corpus: pairs of tokens in their texts, from strong to any."""

import numpy as np
import streamlit as st

from core.figures import head_contexts as drawing
from core.figures.wording import count, number
from core.results.head_contexts import RELATIONS, HeadContexts
from core.spec.request import Request, ask
from core.spec.site import Site
from pages.shared import sides, state
from pages.shared.clicks import pickable_chart
from pages.shared.contexts import Context, contexts
from pages.shared.notices import small
from pages.shared.panels import answer
from pages.shared.sections import head_corpus, prompt
from pages.shared.sections.drawn import drawn
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.view import View, as_code

HELP = (
    "One pass over the text. The dashed token looks; the framed one is what it looks at most; the "
    "shading is all of its attention. Look at the fifths too: what holds for the strongest pairs "
    "alone says little about the rest. Sample: tokens drawn at random. The number at the left, the "
    "weight, makes the text the prompt. Above: what the strongest pairs have in common, beside the "
    "same for a random token in place of the one looked at. A weight is not an effect."
)
GROUPS = {
    "top": "strongest",
    "5": "fifth 5", "4": "fifth 4", "3": "fifth 3", "2": "fifth 2", "1": "fifth 1",
    "sample": "random tokens",
}  # fmt: skip
AROUND = 10  # tokens shown on either side of the pair


def question(view: View, site: Site) -> Request | None:
    """The contexts of this head; None when the corpus is not at hand."""
    text = head_corpus.corpus_or_sentence()
    if text is None:
        return None
    return ask(
        "head_contexts", view.model, interventions=view.changes, layer=site.layer, head=site.unit,
        corpus=text, seed=view.seed,
    )  # fmt: skip


def draw(view: View, site: Site, causes: str, grace: float) -> None:
    """Pairs in their texts, the histogram, what they have in common; `causes`: the effect."""
    request = question(view, site)
    if request is None:
        return
    found = answer(request, key="contexts", grace=grace, height=320, bulk=True)
    if not isinstance(found, HeadContexts):
        return
    with framed(f"Where {site} looks most", HELP, key="contexts", shows=causes):
        left, right = sides.columns([7, 4], gap="medium")
        with left:
            _list(found)
        with right:
            st.html(_common(found))
            fig = drawn(drawing.figure, found)
            pickable_chart(fig, key="contexts_chart", label="Histogram of weights", on_pick=None)
        foot(found, drawing.caption(found), key="contexts", python=as_code(request))


def _list(found: HeadContexts) -> None:
    there = [name for name in GROUPS if name in found.group]
    shown = state.chosen(
        st.segmented_control, "Pairs", there, name="pairs", format_func=GROUPS.__getitem__,
        label_visibility="collapsed",
    )  # fmt: skip
    rows = [index for index, group in enumerate(found.group) if group == shown]
    contexts(
        [_context(found, index) for index in rows],
        key="head_contexts",
        label=f"Pairs of {found.site}: {GROUPS[shown]}",
        limit=1.0,
        unit="of its attention",
        signed=False,
        on_use=lambda row: _use(found, rows[row]),
    )


def _context(found: HeadContexts, index: int) -> Context:
    """The tokens around the pair."""
    query, key = int(found.query[index]), int(found.key[index])
    tokens = found.tokens[index]
    first, last = max(0, min(query, key) - AROUND), min(len(tokens), max(query, key) + AROUND + 1)
    values = np.nan_to_num(found.attention[index, first:last])
    distance = query - key
    where = "itself" if not distance else f"{abs(distance)} {'back' if distance > 0 else 'ahead'}"
    return Context(
        tokens=tokens[first:last],
        values=tuple(float(v) for v in values),
        peak=key - first,
        marked=query - first,
        source=f"{where}; uniform {number(found.uniform[index])}",
    )


def _use(found: HeadContexts, index: int) -> None:
    """Everything up to the later of the two becomes the prompt, special tokens left out."""
    until = max(int(found.query[index]), int(found.key[index])) + 1
    pairs = zip(found.tokens[index][:until], found.special[index][:until], strict=True)
    prompt.use("".join(token for token, special in pairs if not special).strip())


def _common(found: HeadContexts) -> str:
    """What query and key of the strongest pairs are to each other, beside random keys."""
    rows = "".join(
        f"<tr><th>{RELATIONS[name]}</th><td>{own:.0%}</td><td>{chance:.0%}</td></tr>"
        for name, own, chance in zip(
            found.relations, found.relation, found.random_relation, strict=True
        )
    )
    far = (
        f"<tr><th>tokens back</th><td>{number(found.distance)}</td>"
        f"<td>{number(found.random_distance)}</td></tr>"
    )
    head = small(f"The {count(found.n_listed, 'strongest pair')} look at", strong=True)
    return (
        f'{head}<table class="eido-effects"><tr><th></th><th>share</th><th>random key</th></tr>'
        f"{rows}{far}</table>"
    )
