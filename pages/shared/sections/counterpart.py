"""Where in another model the unit is that is selected in A, and how sure that is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.figures.wording import number
from core.jobs import Job
from core.results.dictionaries import Dictionaries
from core.results.match import Match
from core.spec.request import ModelRef, ask
from core.spec.site import Site
from core.spec.workspace import Workspace
from pages.shared import state
from pages.shared.held import held
from pages.shared.panels import asked, drawn_again
from pages.shared.sides import LETTERS, Pair

EACH = 0.45  # seconds a column waits for answers: two models cost what two models cost
KINDS = ("head", "neuron", "feature")
INSTEAD = dict.fromkeys(("head", "neuron"), " Shown is the one that stands out here by itself.")


@dataclass(frozen=True, slots=True)
class Counterpart:
    """A kind of unit in another model.

    place  (layer, unit) there of what is selected in A; None where nothing is or none is known
    back   (layer, unit) there to (layer, unit) in A, where a pair is beyond chance
    said   the same in a sentence, "" while nothing is selected
    """

    place: Pair | None = None
    back: Mapping[Pair, Pair] = field(default_factory=dict)
    said: str = ""


@dataclass(frozen=True)
class Back(Mapping[Pair, Pair]):
    """The pairs of a match beyond chance, from the other model's units to A's."""

    found: Match

    def __getitem__(self, there: Pair) -> Pair:
        unit = _unit(self.found, there, side=1)
        if unit is None:
            raise KeyError(there)
        here = int(self.found.back_partner[unit])
        if not self.found.matched[here] or self.found.partner[here] != unit:
            raise KeyError(there)
        return _place(self.found, here, side=0)

    def __iter__(self) -> Iterator[Pair]:
        return (_place(self.found, int(self.found.partner[u]), side=1) for u in self._matched())

    def __len__(self) -> int:
        return len(self._matched())

    def _matched(self) -> np.ndarray:
        return np.flatnonzero(self.found.matched)


def counterpart(
    work: Workspace, number_: int, kind: str, options: Mapping[str, Any]
) -> Counterpart:
    """What corresponds in model `number_` to the unit of this kind that is selected in A.

    `options` go into the question: which dictionaries, for features.
    """
    request = ask(
        "match", work.models[0], other=str(work.models[number_]), unit=kind, **options
    )  # fmt: skip
    job = asked().ask(f"match_{kind}_{number_}", request, bulk=True)
    job.wait(EACH)
    drawn_again(job)
    chosen = getattr(work.selection, kind)
    place = (0 if kind == "feature" else work.selection.layer, chosen)
    name = "" if chosen is None else _name(kind, *place)
    if not isinstance(found := job.result if job.state == "done" else None, Match):
        return Counterpart(said=_pending(job, name))
    back = Back(found)
    stray = state.stray(LETTERS[number_])
    if stray and stray[0] == kind:
        own = _name(kind, *stray[1])
        said = f"{own} was chosen here; no unit of A is its counterpart beyond chance."
        return Counterpart(stray[1], back, said)
    here = None if chosen is None else _unit(found, place, side=0)
    return Counterpart(back=back) if here is None else _found(found, here, name, back)


def _found(found: Match, here: int, name: str, back: Back) -> Counterpart:
    """The counterpart of unit `here` of A, or the sentence that there is none."""
    partner = int(found.partner[here])
    chance = max(float(np.nan_to_num(found.control[here])), found.threshold)
    there = found.site(partner, there=True)
    beside = f"likeness {number(found.likeness[here])}, chance {number(chance)}"
    if found.likeness[here] <= chance:
        said = f"Nothing here corresponds to {name} of A beyond chance: the nearest is {there}, "
        return Counterpart(None, back, f"{said}{beside}." + INSTEAD.get(found.unit, ""))
    said = f"{there} corresponds to {name} of A: {beside}."
    if not found.mutual[here]:
        said = f"{there} is the nearest to {name} of A: {beside}; it is more like another of A's."
    return Counterpart(_place(found, partner, side=1), back, said)


def _pending(job: Job, name: str) -> str:
    if job.state == "failed":
        return f"Units of this model cannot be matched with those of A: {job.error}"
    of = f"the counterpart of {name} of A" if name else "the counterparts of A's units"
    return f"working: looking for {of}"


def _unit(found: Match, place: Pair, side: int) -> int | None:
    """The number of a unit among all of its model; None where the model has none such."""
    layer, unit = place
    layers = found.layers[side]
    if found.unit == "feature":
        layer = layers[0]  # of its dictionary
    if layer not in layers or not 0 <= unit < found.n_units[side]:
        return None
    return layers.index(layer) * found.n_units[side] + unit


def _place(found: Match, unit: int, side: int) -> Pair:
    row, own = divmod(unit, found.n_units[side])
    return (0 if found.unit == "feature" else found.layers[side][row]), own


def _name(kind: str, layer: int, unit: int) -> str:
    return f"feature {unit}" if kind == "feature" else str(Site(layer, kind, unit))  # type: ignore[arg-type]


def dictionaries(work: Workspace, number_: int) -> Mapping[str, Any] | None:
    """Which dictionaries A's features and the other model's are matched with.

    None where they are the same dictionary, are not known yet, or one model has none.
    """
    a, other = (_books(work.models[n]) for n in (0, number_))
    if a is None or other is None or not a.usable() or not other.usable():
        return None
    names = [_chosen(work, books) for books in (a, other)]
    rows = [books.names.index(name) for books, name in zip((a, other), names, strict=True)]
    for told in ("fingerprints", "paths"):
        mine, theirs = getattr(a, told)[rows[0]], getattr(other, told)[rows[1]]
        if mine and mine == theirs:
            return None
    return {"dictionary": names[0], "with_dictionary": names[1]}


def _chosen(work: Workspace, books: Dictionaries) -> str:
    name, usable = work.choice("dictionary"), books.usable()
    return name if name in usable else usable[0]


def _books(model: ModelRef) -> Dictionaries | None:
    job = held(ask("dictionaries", model, opened=()))
    found = job.result if job.state == "done" else None
    return found if isinstance(found, Dictionaries) else None
