"""A page's views for every model beside each other, what is selected in one found in the others."""

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from core.results.shared_tokens import SharedTokens
from core.spec.request import ModelRef, ask
from core.spec.site import HEADS, NEURONS
from core.spec.workspace import Workspace
from pages.shared import pickers, scales, sides, state, tray
from pages.shared.notices import sentence, small
from pages.shared.panels import asked, drawn_again
from pages.shared.sections import differing
from pages.shared.sections.counterpart import EACH, KINDS, counterpart, dictionaries
from pages.shared.sections.reading import opened
from pages.shared.sections.view import Patience, View
from pages.shared.sides import Side

# Sizes that have to agree for unit 17 of one model to be comparable with unit 17 of another.
SIZES = ("n_layers", "n_heads", "d_mlp", "d_model")


Row = Callable[[View, Patience], None]
UNLIKE = (
    "The models are of different shape, so no cell of one is a cell of the other: what is selected "
    "in one is found in the others by how alike units fire, and how sure that is stands above."
)


def beside(
    work: Workspace,
    patience: Patience,
    draw: Callable[[View, Patience], None],
    *,
    rows: Sequence[Row] = (),
    titles: Mapping[Any, str] | None = None,
    differ: Sequence[differing.Asked] = (),
    units: tuple[str, ...] = (),
) -> None:
    """`draw(view, patience)` for model A, or once in a column for each of several models.

    rows   the same views one after the other, for several models: each of them begins at the same
           height in every column; `titles` stand above a row, once
    differ  questions whose answers are compared cell by cell where two models are of one shape
    units  kinds of unit the page selects: where models are of different shape their counterparts
           are looked for by how alike they fire
    """
    if len(work.models) == 1:
        if view := opened(work, patience):
            draw(view, patience)
        return
    if said := same(work.models, clamped=bool(tray.active())):
        sentence(said, "info")
    views: dict[int, tuple[Side, View, Patience]] = {}
    for number, column in enumerate(st.columns(len(work.models), gap="medium")):
        own = patience if number == 0 else Patience(EACH)
        one = side(work, number, units)
        with column, sides.drawn_for(one):
            heading()
            if view := opened(state.workspace(), own):
                _clamps(view)
                views[number] = (one, view, own)
    for row in rows or (draw,):
        if views and titles and row in titles:
            st.subheader(titles[row], anchor=False)
        for number, column in enumerate(st.columns(len(work.models), gap="medium")):
            if number in views:
                one, view, own = views[number]
                with column, sides.drawn_for(one):
                    _tag(one)
                    row(view, own)
    if 0 in views:
        _differences(differ, views)
    scales.settle()


def _differences(
    differ: Sequence[differing.Asked], views: Mapping[int, tuple[Side, View, Patience]]
) -> None:
    """Cell by cell where two models are of one shape; of the others it is said why not."""
    others = [one for number, one in views.items() if number]
    alike = [one for one in others if one[0].alike]
    if alike:
        differing.draw(differ, views[0][1], *alike)
    elif differ and others:
        sentence(UNLIKE, "info")


def over_models(
    work: Workspace,
    draw: Callable[[ModelRef], None],
    *,
    rows: Sequence[Callable[[ModelRef], None]] = (),
) -> None:
    """`draw(model)` for model A, or once in a column for each of several, without a prompt.

    rows  as in `beside`
    """
    if len(work.models) == 1:
        draw(work.models[0])
        return
    if said := same(work.models):
        sentence(said, "info")
    able: dict[int, Side] = {}
    for number, column in enumerate(st.columns(len(work.models), gap="medium")):
        one = side(work, number, (), tokens=False)
        with column, sides.drawn_for(one):
            heading()
            model = work.models[number]
            loading = pickers.card_job(model)
            if loading.state == "failed":
                sentence(f"{model}: {loading.error}")
            else:
                able[number] = one
    for row in rows or (draw,):
        for number, column in enumerate(st.columns(len(work.models), gap="medium")):
            if number in able:
                with column, sides.drawn_for(able[number]):
                    _tag(able[number])
                    row(work.models[number])
    scales.settle()


def side(work: Workspace, number: int, units: tuple[str, ...], *, tokens: bool = True) -> Side:
    """One model of the comparison, with what brings its parts and A's together."""
    if number == 0:
        return Side(0, len(work.models), work.models)
    a, own = work.models[0], work.models[number]
    first, other = pickers.card(a), pickers.card(own)
    alike = first is None or other is None or _alike(first.sizes, other.sizes)
    found = {
        kind: counterpart(work, number, kind, options)
        for kind in units
        if (options := _matching(work, number, kind, alike)) is not None
    }
    unknown = () if alike else [kind for kind in KINDS if kind not in found and kind != "feature"]
    return Side(
        number,
        len(work.models),
        work.models,
        tokens=_tokens(work, number) if tokens else (),
        layers=(0, 0) if alike else (first.sizes["n_layers"], other.sizes["n_layers"]),  # type: ignore[union-attr]
        partners=dict.fromkeys(unknown) | {kind: one.place for kind, one in found.items()},
        back={kind: one.back for kind, one in found.items()},
        notes=tuple(one.said for one in found.values() if one.said),
        alike=alike,
    )


def _matching(work: Workspace, number: int, kind: str, alike: bool) -> Mapping[str, Any] | None:
    """Options of the question which units correspond; None where equal numbers do."""
    if kind == "feature":
        return dictionaries(work, number)
    return None if alike else {}


def _alike(one: object, other: object) -> bool:
    return all(one.get(name) == other.get(name) for name in SIZES)  # type: ignore[attr-defined]


def _tokens(work: Workspace, number: int) -> tuple[int, ...]:
    """A's token for each token of this model; () until it is known, and where they cannot be."""
    request = ask("shared_tokens", work.models[0], work.prompt, other=str(work.models[number]))
    job = asked().ask(f"tokens_{number}", request)
    job.wait(EACH)
    drawn_again(job)
    found = job.result if job.state == "done" else None
    if not isinstance(found, SharedTokens) or list(found.here) == list(range(found.n_here)):
        return ()
    return tuple(int(token) for token in found.here)


def same(models: tuple[ModelRef, ...], *, clamped: bool = False) -> str:
    """A sentence when one model stands in two slots: with the clamps and without, or twice."""
    if len(set(models)) == len(models):
        return ""
    if clamped:
        return (
            "The same model stands in two columns: with the clamps in the first, without them in "
            "the second."
        )
    return "The same model stands in two columns: whatever differs between them is noise."


def heading() -> None:
    """Which model this column is about."""
    one = sides.here()
    model = one.models[one.number]
    found = pickers.card(model)
    size = f" {pickers.size_line(found)}" if found else ""
    words = html.escape(f"{one.letter} · {pickers.short(model)}{size}", quote=True)
    st.html(f'<div class="eido-model eido-model-{one.letter}">{words}</div>')
    for note in one.notes:
        st.html(f'<div class="eido-quiet" role="status">{html.escape(note, quote=True)}</div>')


def _tag(one: Side) -> None:
    """Whose part this is, where columns stand one below the other."""
    words = html.escape(f"{one.letter} · {pickers.short(one.models[one.number])}", quote=True)
    st.html(f'<div class="eido-side eido-model eido-model-{one.letter}">{words}</div>')


def _clamps(view: View) -> None:
    """How many of the clamps act in this model, and on which of its units."""
    asked_for = state.workspace().active()
    left = [change for change in asked_for if change not in view.changes]
    if left:
        names = ", ".join(str(change.site) for change in left[:3])
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        said = f"{len(view.changes)} of {len(asked_for)} clamps act here; left out: {names}{more}."
        st.html(small(said, quiet=True))
    units = [one.site for one in view.changes if one.site.component in (*HEADS, *NEURONS)]
    if sides.here().partners and any(place.unit is not None for place in units):
        st.html(small("Clamps act on units of the same number, not on counterparts.", quiet=True))
