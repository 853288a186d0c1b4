"""Several labelled sets, each a small curve, in the order they become readable; also the nine sets
of the Concept Depth paper."""

from pathlib import Path
from typing import Any

import streamlit as st

from core import labelled, paper_sets
from core.figures import depth as drawing
from core.figures import depth_many
from core.figures.wording import count
from core.home import hosted
from core.jobs import Job
from core.results.depth import Depth
from core.results.depth_curves import together
from core.spec.errors import Error
from core.spec.labelled import LabelledSet, plain
from core.spec.request import ModelRef
from pages.shared import pickers, state
from pages.shared.clicks import pickable_chart
from pages.shared.notices import sentence, shown_text, small
from pages.shared.panels import asked, drawn_again, export_row, look
from pages.shared.sections import depth_curve
from pages.shared.sections import labelled as chosen_set
from pages.shared.sections.framed import framed, line
from pages.shared.sections.view import Patience, as_code

HELP = (
    "One probe for each set of texts and layer. Solid with its band: held-out texts and their "
    "95 % interval. Grey: shuffled labels. Dotted: words alone, the token alone or the largest "
    "class, whichever is most. Upright: readable from here on. In the order in which they become "
    "readable; what never rises above its floor stands last. “random labels” is a false alarm "
    "wherever it is found. Dashes and dots: models B and C, at their share of the depth. Click a "
    "curve to look into its set. The export holds every curve that is drawn."
)
NINE = (
    "The data sets of “Exploring Concept Depth” (Jin et al. 2024): three factual, four emotional, "
    "two inferential. Some come with the program in a like form; the others have no licence to "
    "pass them on. Put the files of the paper's repository (folder dataset) and imdb.csv into one "
    "folder and name it. At most 1,000 texts of each are read, as many of each class. "
)
LEVELS = (
    "animals", "review", "gender carried", "sums above ten", "truth of sums", "random labels",
)  # fmt: skip
PAPER = "paper"
GATHERED = {
    "levels": "easy to hard",
    "words": "words",
    "feeling": "feeling",
    "context": "context",
    "truth": "true or false",
    "reasoning": "reasoning",
    PAPER: "the paper's nine",
}
LARGEST = 1_000  # texts of a set; larger ones are looked at one by one


def names(gathered: str) -> tuple[str, ...]:
    """The sets of a group, in the order of the list of sets."""
    if gathered == "levels":
        return LEVELS
    entries = labelled.built_in().values()
    return tuple(one.name for one in entries if one.topic == gathered and one.n <= LARGEST)


def draw(models: tuple[ModelRef, ...], patience: Patience) -> None:
    gathered = state.chosen(
        st.segmented_control, "Which sets", list(GATHERED), name="gathered",
        format_func=GATHERED.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
    nine = _nine() if gathered == PAPER else {}
    depth_curve.controls(None)
    options: dict[str, Any] = (
        {name: plain(one) for name, one in nine.items()}
        if gathered == PAPER
        else {name: name for name in names(gathered)}
    )
    if not options:
        return
    models = models[: len(pickers.SLOTS)]
    jobs = _asked(models, options, patience)
    score = state.workspace().choice("metric")
    there = {key: job.result for key, job in jobs.items() if job.state == "done"}
    done = {key: one for key, one in there.items() if isinstance(one, Depth)}
    first = [(name, done[0, name]) for name in options if (0, name) in done]
    if gathered != PAPER:
        first = depth_many.order(first, score)
    if first:
        _show(models, first, done, score, nine)


def _asked(
    models: tuple[ModelRef, ...], options: dict[str, Any], patience: Patience
) -> dict[tuple[int, str], Job]:
    """The job of every model and set, and what is to be said about those that are not done."""
    jobs = {
        (number, name): asked().ask(
            f"depth_{name}" + (f"_{number}" if number else ""),
            depth_curve.question(model, ("labelled", given)),
            bulk=True,
        )
        for number, model in enumerate(models)
        for name, given in options.items()
    }
    for job in jobs.values():
        job.wait(patience.left())
    for (number, name), job in jobs.items():
        if job.state == "failed":
            who = f"{name}, {pickers.short(models[number])}" if len(models) > 1 else name
            sentence(f"{who}: {job.error}")
    stopped = [key for key, job in jobs.items() if job.state in ("failed", "cancelled")]
    if stopped:
        st.button(f"Ask again for {count(len(stopped), 'set')}", key="depth_many_again",
                  on_click=_again, args=(stopped,))  # fmt: skip
    open_ = [job for job in jobs.values() if not job.finished]
    n_done = sum(job.state == "done" for job in jobs.values())
    if open_:
        said = f"working · {n_done} of {count(len(jobs), 'set')} done"
        st.html(f'<div class="eido-quiet" role="status">{said}</div>')
        st.progress(n_done / len(jobs))
        drawn_again(open_[0])
    return jobs


def _show(
    models: tuple[ModelRef, ...],
    first: list[tuple[str, Depth]],
    done: dict[tuple[int, str], Depth],
    score: str,
    nine: dict[str, LabelledSet],
) -> None:
    others = [
        (cell, depth_many.ROLES[number], pickers.short(models[number]), done[number, name])
        for number in range(1, len(models))
        for cell, (name, _) in enumerate(first)
        if (number, name) in done
    ]
    cells = [*(cell for cell in range(len(first)) for _ in range(depth_many.TRACES)),
             *(cell for cell, *_ in others)]  # fmt: skip
    title = "The paper's nine" if nine else "In which order they become readable"
    with framed(title, HELP, key="depth_many"):
        if len(models) > 1:
            marks = ("solid", "dashes", "dots")
            named = [f"{mark}: {pickers.short(m)}" for m, mark in zip(models, marks, strict=False)]
            st.html(small(" · ".join(named)))
        pickable_chart(
            depth_many.multiples(first, look(), score=score, others=others),
            key="depth_many_chart",
            label="Depth of several sets",
            on_pick=lambda cell: _open(first[cells[int(cell[1])]][0], nine),
            grid=False,
        )
        st.dataframe(_rows(models, first, done, score), hide_index=True, height="content")
        _foot(models, first, done)


def _rows(
    models: tuple[ModelRef, ...],
    first: list[tuple[str, Depth]],
    done: dict[tuple[int, str], Depth],
    score: str,
) -> list[dict[str, object]]:
    """The summary of every curve; with several models each says whose it is."""
    if len(models) == 1:
        return depth_many.rows(first, score)
    found = []
    for number, model in enumerate(models):
        own = [(name, done[number, name]) for name, _ in first if (number, name) in done]
        found += [{"model": pickers.short(model), **row} for row in depth_many.rows(own, score)]
    return found


def _foot(
    models: tuple[ModelRef, ...],
    first: list[tuple[str, Depth]],
    done: dict[tuple[int, str], Depth],
) -> None:
    curves = together(
        [
            (str(models[number]), name, done[number, name])
            for number in range(len(models))
            for name, _ in first
            if (number, name) in done
        ]
    )
    words = drawing.caption(first[0][1]).partition(";")[0]
    with line():
        foot = f"{words}; labels shuffled 20 times a set; selectivity at the best layer"
        st.html(small(foot, quiet=True), width="stretch")
        with st.container(width="content"):
            export_row(curves, key="depth_many", python=_python(models[0], [n for n, _ in first]))


def _python(model: ModelRef, sets: list[str]) -> str:
    """The lines that compute the curves of model A."""
    code = as_code(depth_curve.question(model, ("labelled", "SET"))).splitlines()
    call = next(one for one in code if one.startswith("result = ")).partition("= ")[2]
    load = next(one for one in code if one.startswith("m = "))
    run = call.replace("'SET'", "name")
    return "\n".join(
        ["from core import api", "", load, "results = {", f"    name: {run}",
         f"    for name in {tuple(sets)!r}", "}"]
    )  # fmt: skip


def _nine() -> dict[str, LabelledSet]:
    """The paper's sets that are there, by name and domain; what is missing is said."""
    folder = "" if hosted() else state.workspace().choice("nine")
    if not hosted():
        state.field(
            st.text_input, "Folder with the paper's files", key="nine", value=folder,
            then=lambda path: state.choose("nine", path.strip()), help=NINE,
            placeholder="~/CD/dataset", width=460,
        )  # fmt: skip
    try:
        found = _read(folder, _stamp(folder))
    except Error as fault:
        sentence(str(fault))
        return {}
    missing = [one.name for one, given in found if isinstance(given, str)]
    if missing:
        why = next(given for one, given in found if isinstance(given, str))
        sentence(f"Not there: {', '.join(missing)}. {shown_text(why, 200)}", "info")
    return {
        f"{one.name} ({one.domain})": given
        for one, given in found
        if isinstance(given, LabelledSet)
    }


def _stamp(folder: str) -> tuple[Any, ...]:
    """Changes when a file of the folder does."""
    place = Path(folder).expanduser() if folder else None
    if place is None or not place.is_dir():
        return ()
    wanted = [name for one in paper_sets.NINE for name in one.files]
    files = [place / name for name in wanted if (place / name).is_file()]
    return tuple((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in files)


@st.cache_resource(max_entries=2, show_spinner=False)
def _read(folder: str, stamp: tuple[Any, ...]) -> list[tuple[paper_sets.PaperSet, Any]]:
    del stamp
    return paper_sets.read(folder)


def _again(stopped: list[tuple[int, str]]) -> None:
    for number, name in stopped:
        asked().forget(f"depth_{name}" + (f"_{number}" if number else ""))


def _open(name: str, nine: dict[str, LabelledSet]) -> None:
    """Look into one of them."""
    if name in nine:
        chosen_set.hold(nine[name])
        state.choose("depths", "one")
        return
    work = state.workspace().with_choice("labelled", name).with_choice("depths", "one")
    state.set_workspace(work)
