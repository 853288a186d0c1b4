"""A page's views for every model beside each other, what is selected in one found in the others."""

from collections.abc import Callable, Sequence

import streamlit as st

from core.results.match import Match
from core.results.shared_tokens import SharedTokens
from core.spec.request import ModelRef, ask
from core.spec.workspace import Workspace
from pages.shared import pickers, scales, sides, state
from pages.shared.notices import sentence, small
from pages.shared.panels import asked, drawn_again
from pages.shared.sections import differing
from pages.shared.sections.reading import opened
from pages.shared.sections.view import Patience, View
from pages.shared.sides import Side

# Sizes that have to agree for unit 17 of one model to be comparable with unit 17 of another.
SIZES = ("n_layers", "n_heads", "d_mlp", "d_model")
UNITS = ("head", "neuron")
EACH = 0.45  # seconds a column waits for answers: two models cost what two models cost


def beside(
    work: Workspace,
    patience: Patience,
    draw: Callable[[View, Patience], None],
    *,
    rows: Sequence[Callable[[View, Patience], None]] = (),
    differ: Sequence[differing.Asked] = (),
    units: tuple[str, ...] = (),
) -> None:
    """`draw(view, patience)` for model A, or once in a column for each of several models.

    rows   the same views one after the other, for several models: each of them begins at the same
           height in every column
    differ  questions whose answers are compared cell by cell where two models are of one shape
    units  kinds of unit the page selects: where models are of different shape their counterparts
           are looked for by how alike they fire
    """
    if len(work.models) == 1:
        if view := opened(work, patience):
            draw(view, patience)
        return
    if said := same(work.models):
        sentence(said, "info")
    views: dict[int, tuple[Side, View, Patience]] = {}
    for number, column in enumerate(st.columns(len(work.models), gap="medium")):
        own = patience if number == 0 else Patience(EACH)
        one = side(work, number, units)
        with column, sides.drawn_for(one):
            heading()
            if view := opened(state.workspace(), own):
                views[number] = (one, view, own)
    for row in rows or (draw,):
        for number, column in enumerate(st.columns(len(work.models), gap="medium")):
            if number in views:
                one, view, own = views[number]
                with column, sides.drawn_for(one):
                    row(view, own)
    if len(views) > 1 and not views[1][0].partners:
        differing.draw(differ, views[0][1], *(one for one in views.values() if one[0].number))
    scales.settle()


def over_models(work: Workspace, draw: Callable[[ModelRef], None]) -> None:
    """`draw(model)` for model A, or once in a column for each of several, without a prompt."""
    if len(work.models) == 1:
        draw(work.models[0])
        return
    for number, column in enumerate(st.columns(len(work.models), gap="medium")):
        with column, sides.drawn_for(side(work, number, (), tokens=False)):
            heading()
            model = work.models[number]
            loading = pickers.card_job(model)
            if loading.state == "failed":
                sentence(f"{model}: {loading.error}")
            else:
                draw(model)
    scales.settle()


def side(work: Workspace, number: int, units: tuple[str, ...], *, tokens: bool = True) -> Side:
    """One model of the comparison, with what brings its parts and A's together."""
    if number == 0:
        return Side(0, len(work.models), work.models)
    a, own = work.models[0], work.models[number]
    first, other = pickers.card(a), pickers.card(own)
    alike = first is None or other is None or _alike(first.sizes, other.sizes)
    return Side(
        number,
        len(work.models),
        work.models,
        tokens=_tokens(work, number) if tokens else (),
        layers=(0, 0) if alike else (first.sizes["n_layers"], other.sizes["n_layers"]),  # type: ignore[union-attr]
        partners={} if alike else {unit: _partner(work, number, unit, units) for unit in UNITS},
    )


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


def _partner(
    work: Workspace, number: int, unit: str, units: tuple[str, ...]
) -> tuple[int, int] | None:
    """(layer, unit) in this model of the unit that is selected in A; None where none is known."""
    chosen = getattr(work.selection, unit)
    if unit not in units or chosen is None:
        return None
    request = ask("match", work.models[0], other=str(work.models[number]), unit=unit)
    job = asked().ask(f"match_{unit}_{number}", request, bulk=True)
    job.wait(EACH)
    drawn_again(job)
    found = job.result if job.state == "done" else None
    if not isinstance(found, Match) or work.selection.layer not in found.layers[0]:
        return None
    row = found.layers[0].index(work.selection.layer)
    here = row * found.n_units[0] + chosen
    if chosen >= found.n_units[0] or not found.matched[here]:
        return None
    there_row, there = divmod(int(found.partner[here]), found.n_units[1])
    return found.layers[1][there_row], there


def same(models: tuple[ModelRef, ...]) -> str:
    """A sentence when one model stands in two slots."""
    if len(set(models)) == len(models):
        return ""
    return "The same model stands in two columns: whatever differs between them is noise."


def heading() -> None:
    """Which model this column is about."""
    one = sides.here()
    model = one.models[one.number]
    found = pickers.card(model)
    size = f" {pickers.size_line(found)}" if found else ""
    st.html(small(f"{one.letter} · {pickers.short(model)}{size}"))
