"""Is a relation the same offset everywhere? Two of its pairs as a parallelogram."""

from functools import partial
from typing import Any

import streamlit as st

from core.figures import crystals as many
from core.figures import parallelogram as two
from core.figures import relations as drawing
from core.results.crystals import Crystals
from core.results.parallelogram import Parallelogram
from core.results.relations import RelationOffsets
from core.spec.request import ModelRef, ask
from pages.shared import state
from pages.shared.panels import answer
from pages.shared.sections import ways
from pages.shared.sections.concept_set import Chosen
from pages.shared.sections.one_figure import one_figure
from pages.shared.sections.view import Patience
from pages.shared.sections.ways import Way

WAYS = {
    "layers": Way(
        "how parallel",
        "For every relation, by depth. Consistency of the pairing: how often two true pairs have "
        "offsets more alike than mixed pairs do, so that what all offsets share does not count; "
        "0.5 is chance. Mean cosine: of two offsets; its grey control lies far from 0, since "
        "mixed pairs share the mean offset.",
    ),
    "analogies": Way(
        "analogies",
        "a is to b as c is to ... Four numbers: leaving the three given words out, not leaving "
        "them out, simply the nearest neighbour of c, and after mixing the pairs. Leaving them out "
        "flatters: look at all four.",
    ),
    "distractors": Way(
        "what else it is",
        "What the leading components of all offsets go with: length in tokens, frequency, "
        "capitals. What is large here can be taken out of the vectors below.",
    ),
    "between": Way(
        "between relations", "Cosines of the mean offsets of the relations at one depth."
    ),
    "crystals": Way(
        "many together",
        "The offsets of many relations at once, on the discriminants that tell relations apart in "
        "one half of the pairs; the other half, drawn full, is the evidence. With more dimensions "
        "than pairs the first half always comes apart.",
    ),
    "parallelogram": Way(
        "parallelogram",
        "Two pairs in the plane of their mean offset: a parallelogram closes when the relation is "
        "one step. Right: cosine of the two offsets at every depth, beside wrong fourth words.",
    ),
}
CRYSTALS = {
    "discriminants": "discriminants",
    "raw": "principal components",
    "layers": "silhouettes by depth",
    "curve": "by number of discriminants",
}
SHOWN = {
    "consistency": "consistency of the pairing",
    "concentration": "mean cosine of offsets",
    "one_dimension": "variance in one direction",
}
OUT = {"pieces": "length in tokens", "characters": "letters", "frequency": "frequency",
       "capital": "capitals"}  # fmt: skip


def draw(model: ModelRef, given: Chosen, patience: Patience) -> None:
    work = state.workspace()
    view, help_ = ways.chosen(WAYS)
    out = [name for name in work.choice("without").split(",") if name in OUT]
    state.field(
        st.multiselect, "Taken out of the vectors first", list(OUT), key="without", value=out,
        then=lambda names: state.choose("without", ",".join(names)), format_func=OUT.__getitem__,
        width=460, placeholder="nothing",
    )  # fmt: skip
    prepare = "centre" if work.choice("prepare") == "zscore" else work.choice("prepare")
    options = {"prepare": prepare, "seed": work.seed, **given.options()}
    if out:
        options["project_out"] = tuple(out)
    if view == "parallelogram":
        _parallelogram(model, given, options, patience, help_)
        return
    if view == "crystals":
        _crystals(model, given, options, patience, help_)
        return
    request = ask("relations", model, **options)
    found = answer(request, key="relations", grace=patience.left(), height=460)
    if not isinstance(found, RelationOffsets):
        return
    chosen: dict[str, Any] = {}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if view == "layers":
            chosen["show"] = state.chosen(
                st.selectbox, "Measure", list(SHOWN), name="measured", width=260,
                format_func=SHOWN.__getitem__,
            )  # fmt: skip
        else:
            chosen["layer"] = ways.depth(found.best, len(found.rows) - 1)
    one_figure(
        request, drawing, key="relations", title=given.one.name, help=help_, grace=0.0, height=460,
        view=view, **chosen,
    )  # fmt: skip


def _crystals(
    model: ModelRef, given: Chosen, options: dict[str, Any], patience: Patience, help_: str
) -> None:
    """Offsets of all relations, on discriminants that one half of the pairs gives."""
    request = ask("crystals", model, **options)
    found = answer(request, key="crystals", grace=patience.left(), height=460)
    if not isinstance(found, Crystals):
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shown = state.chosen(
            st.selectbox, "Drawn", list(CRYSTALS), name="solid", width=260,
            format_func=CRYSTALS.__getitem__,
        )  # fmt: skip
        row = ways.depth(found.best, len(found.rows) - 1)
    one_figure(
        request, many, key="crystals", title=given.one.name, help=help_, grace=0.0, height=460,
        view=shown, layer=row,
    )  # fmt: skip


def _parallelogram(
    model: ModelRef, given: Chosen, options: dict[str, Any], patience: Patience, help_: str
) -> None:  # fmt: skip
    """Two pairs of one relation, chosen by their first words."""
    names = [group.name for group in given.one.groups if len(group.items) > 1]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        relation = state.chosen(st.selectbox, "Relation", names, name="relation", width=240)
        items = list(given.one.group(relation).items)
        first, second = _two(items)
        for label, name, value in (("One pair", "pair", first), ("Another", "pair_b", second)):
            state.field(
                st.selectbox, label, items, key=name, value=value, width=190,
                then=partial(state.choose, name),
                format_func=lambda word: _pair(given, relation, word),
            )  # fmt: skip
    request = ask("parallelogram", model, relation=relation, pairs=(first, second), **options)
    found = answer(request, key="parallelogram", grace=patience.left(), height=460)
    if not isinstance(found, Parallelogram):
        return
    row = ways.depth(found.best, len(found.rows) - 1)
    one_figure(
        request, two, key="parallelogram", title=relation, help=help_, grace=0.0, height=460,
        layer=row,
    )  # fmt: skip


def _two(items: list[str]) -> tuple[str, str]:
    work = state.workspace()
    first = work.choice("pair") if work.choice("pair") in items else items[0]
    rest = [item for item in items if item != first]
    second = work.choice("pair_b") if work.choice("pair_b") in rest else rest[0]
    return first, second


def _pair(given: Chosen, relation: str, word: str) -> str:
    group = given.one.group(relation)
    return f"{word} – {group.targets[group.items.index(word)]}"
