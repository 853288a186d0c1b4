"""The card of one feature: its name, how sure that is, its texts from the strongest to any."""

import html

import numpy as np
import streamlit as st

from core.figures import feature_card as drawing
from core.figures.wording import count, number, readable
from core.home import hosted
from core.results.feature_card import FeatureCard
from core.spec.request import Request, ask
from core.spec.site import Site
from pages.shared import sides, state
from pages.shared.clicks import pickable_chart
from pages.shared.contexts import Context, contexts
from pages.shared.menu import entry
from pages.shared.notices import sentence
from pages.shared.panels import answer
from pages.shared.popover import popover
from pages.shared.sections import corpus, once, prompt
from pages.shared.sections.drawn import drawn
from pages.shared.sections.feature_book import Book
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.view import View, as_code

HELP = (
    "Strongest: where it fires most. The fifths show texts from every part of its range: a label "
    "that holds only at the top explains little. Silent: the strongest texts of features like it, "
    "where this one does not fire. Values are the length it writes. The number at the left makes "
    "a text the prompt. Below: how often it reaches which value; the share of everything it writes "
    "stands above each fifth."
)
GROUPS = {
    "top": "strongest",
    "+5": "fifth 5", "+4": "4", "+3": "3", "+2": "2", "+1": "1",
    "importance": "by weight",
    "sample": "any",
    "silent": "silent",
}  # fmt: skip
LEAST_LABEL = 0.4  # F1 from which a rule counts as a label
HIGH = 430  # pixels of the list of texts
BEFORE, AFTER = 14, 8  # tokens shown around the place
LONGEST = 120  # characters of a label
NAMING = "naming"
NAMING_HELP = (
    "Kept for this dictionary and shown as “yours” on the wall; empty takes it away. Whether it "
    "holds is tested under Label and test."
)


def question(view: View, book: Book, feature: int) -> Request | None:
    """What is known of the feature on the corpus; None when that is not at hand."""
    text = corpus.chosen()
    if text is None:
        return None
    return ask(
        "feature_card", view.model, interventions=book.changes(view), dictionary=book.name,
        feature=feature, corpus=text,
    )  # fmt: skip


def draw(view: View, book: Book, feature: int, grace: float) -> None:
    site = book.feature(feature)
    with framed(f"{site}", HELP, key="card"):
        _buttons(view, book, site)
        request = question(view, book, feature)
        if request is None:
            sentence(corpus.GONE, "info")
            return
        found = answer(request, key="card", grace=grace, height=420, bulk=True)
        if not isinstance(found, FeatureCard):
            return
        st.html(_head(found))
        if found.n_fires:
            _texts(found)
            fig = drawn(drawing.figure, found)
            pickable_chart(fig, key="card_chart", label="Histogram of values", on_pick=None)
        foot(found, drawing.caption(found), key="card", python=as_code(request))


def _buttons(view: View, book: Book, site: Site) -> None:
    """Walking, clamping and naming: once, in A's column."""
    if not sides.first():
        return
    held = any(change.site == site for change in state.workspace().active())
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="card_keys"):
        for label, key, step, about in (
            ("‹", "p", -1, "The feature before (key p)"),
            ("›", "n", 1, "The next feature (key n)"),
        ):
            st.button(
                label, key=f"card_{key}", help=about, shortcut=key, on_click=_walk,
                args=(step, book.n_features),
            )  # fmt: skip
        st.button(
            "in the tray" if held else "+ clamp",
            key="card_clamp",
            shortcut="k",
            disabled=held,
            help="Into the clamp tray at the largest value seen on the reference text (key k)",
            on_click=state.attempt,
            args=(book.clamp, view, site.unit),
        )
        if not hosted():
            key = f"card_name_{site.unit}_{once.begun(NAMING)}"
            popover("label", _naming, view, book, site, key=key)
        st.page_link(
            entry("steer").path, label="open in Steer", icon=entry("steer").icon,
            query_params=state.query(),
        )  # fmt: skip


def _naming(view: View, book: Book, site: Site) -> None:
    """One's own label for it, above those found by rule."""
    with st.form(f"naming_{site.unit}", border=False):
        st.text_input("Your label", key="own_label", max_chars=LONGEST, help=NAMING_HELP)
        st.form_submit_button("Keep", on_click=_keep, args=(view, book, site))


def _keep(view: View, book: Book, site: Site) -> None:
    name(view, book, site, str(st.session_state["own_label"]))


def name(view: View, book: Book, site: Site, label: str) -> None:
    """Keep a label of the visitor's; an empty one takes theirs away."""
    request = ask(
        "name_feature", view.model, dictionary=book.name, feature=site.unit, label=label.strip()
    )
    once.begin(NAMING, request, ("card", "wall", "feature_map", "near", "my_text", "pattern"))


def _walk(step: int, n_features: int) -> None:
    """One step from where the visitor is by now: keys may come faster than cards."""
    chosen = state.workspace().selection.feature or 0
    state.select(feature=(chosen + step) % n_features)


def _head(found: FeatureCard) -> str:
    """Label with its score, badges, and the numbers, as HTML; every text in it is escaped."""
    badges = "".join(f'<span class="eido-badge">{_safe(badge)}</span>' for badge in found.badges)
    return (
        f'<div class="eido-strong">{_label(found)} {badges}</div>'
        f'<div class="eido-facts">{_facts(found)}</div>'
    )


def _label(found: FeatureCard) -> str:
    if not found.n_fires:
        return "never fires on this text"
    score, chance = found.label_score, found.label_chance
    beside = "" if np.isnan(chance) else f", chance {number(chance)}"
    said = "" if np.isnan(score) else f"F1 {number(score)} on other documents{beside}"
    if not found.label:
        return "no rule found"
    if found.label_by == "yours":
        return f"{_safe(found.label)} <span class=eido-quiet>yours</span>"
    if score < LEAST_LABEL:
        return f"no rule found <span class=eido-quiet>best: {_safe(found.label)}, {said}</span>"
    by = f" · {found.label_by}" if found.label_by else ""
    return f"{_safe(found.label)} <span class=eido-quiet>{said}{_safe(by)}</span>"


def _facts(found: FeatureCard) -> str:
    largest = number(found.random_largest[0])
    parts = [
        f"fires on <b>{found.density:.3%}</b> of tokens ({count(found.n_fires, 'firing')}; random "
        f"directions {found.random_density[0]:.3%})",
        f"largest <b>{number(found.largest)}</b> (random {largest}), mean "
        f"<b>{number(found.mean_active)}</b>",
        f"explains <b>{found.contribution:.2%}</b> of what is read",
    ]
    if not np.isnan(found.cosine):
        parts.append(f"cos(encoder, decoder) <b>{number(found.cosine)}</b>")
    if found.duplicate >= 0:
        parts.append(f"nearly the same as feature <b>{found.duplicate}</b>")
    return " · ".join(parts)


def _safe(text: str) -> str:
    return html.escape(readable(text), quote=True)


def _texts(found: FeatureCard) -> None:
    there = [name for name in GROUPS if name in found.group]
    shown = state.chosen(
        st.segmented_control, "Texts", there, name="banded", format_func=GROUPS.__getitem__,
        label_visibility="collapsed",
    )  # fmt: skip
    rows = [index for index, group in enumerate(found.group) if group == shown]
    with st.container(height=HIGH, border=False):
        contexts(
            [_context(found, index) for index in rows],
            key="card_contexts",
            label=f"Texts of {found.site}: {GROUPS[shown]}",
            limit=found.largest,
            on_use=lambda row: _use(found, rows[row]),
        )


def _context(found: FeatureCard, index: int) -> Context:
    """The tokens around the place that this text is shown for."""
    tokens, at = found.tokens[index], int(found.position[index])
    first, last = max(0, at - BEFORE), min(len(tokens), at + AFTER + 1)
    values = np.nan_to_num(found.activation[index, first:last])
    other = found.of_feature[index]
    return Context(
        tokens=tokens[first:last],
        values=tuple(float(value) for value in values),
        peak=at - first,
        source=f"text {int(found.document[index])}"
        if other == found.feature
        else f"peak of {other}",
    )


def _use(found: FeatureCard, index: int) -> None:
    """Everything up to the place becomes the prompt, special tokens left out."""
    until = int(found.position[index]) + 1
    pairs = zip(found.tokens[index][:until], found.special[index][:until], strict=True)
    prompt.use("".join(token for token, special in pairs if not special).strip())
