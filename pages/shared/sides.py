"""Which of the compared models a part of a page is drawn for.

A page draws its views once for every model. What a person sets stands once, in the column of
model A; in the others the same code draws the same views with keys of their own, from a workspace
whose selection is the counterpart of A's, and whatever is chosen there is told in A's terms.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, TypeVar

import streamlit as st

from core.spec.request import ModelRef
from core.spec.workspace import Selection, Workspace

LETTERS = "ABC"
Pair = tuple[int, int]  # (layer, unit)


@dataclass(frozen=True, slots=True)
class Side:
    """One model of a comparison.

    number    0 for model A, 1 for B, 2 for C
    of        how many models there are
    models    the models of the page, A first
    tokens    of every token of this model, the token of A that ends at the same character, -1
              where none does; () when the two split texts alike
    layers    blocks of A and of this model; (0, 0) when both have as many
    partners  kind of unit ("head", "neuron", "feature") to (layer, unit) here of what is selected
              in A, where numbers mean nothing across the two; a kind that maps to None has none
    back      the same the other way round: kind to (layer, unit) here to (layer, unit) in A
    notes     sentences on what corresponds here, for the head of the column
    alike     is the model of A's shape, so that equal cells can be compared
    """

    number: int = 0
    of: int = 1
    models: tuple[ModelRef, ...] = ()
    tokens: tuple[int, ...] = ()
    layers: tuple[int, int] = (0, 0)
    partners: Mapping[str, Pair | None] = field(default_factory=dict)
    back: Mapping[str, Mapping[Pair, Pair]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    alike: bool = True

    @property
    def letter(self) -> str:
        return LETTERS[self.number]

    @property
    def again(self) -> bool:
        """Does the same model stand in a column before this one?"""
        return self.number > 0 and self.models[self.number] in self.models[: self.number]

    def layer(self, of_a: int) -> int:
        """The layer here that is as deep as A's."""
        a, own = self.layers
        return of_a if a < 2 else round(of_a * (own - 1) / (a - 1))

    def layer_of_a(self, own_layer: int) -> int:
        a, own = self.layers
        return own_layer if own < 2 else round(own_layer * (a - 1) / (own - 1))

    def seen(self, work: Workspace) -> Workspace:
        """The workspace as this model's column sees it."""
        if not self.number:
            return work
        models = (self.models[self.number],)
        return replace(work, models=models, selection=self._seen(work.selection))

    def _seen(self, a: Selection) -> Selection:
        token = a.token
        if token is not None and self.tokens:
            token = next((n for n, of_a in enumerate(self.tokens) if of_a == token), None)
        found = replace(a, token=token, layer=self.layer(a.layer))
        for kind, partner in self.partners.items():
            if getattr(a, kind) is None:
                continue
            unit = None if partner is None else partner[1]
            found = replace(found, **{kind: unit})  # type: ignore[arg-type]
            if partner is not None and kind != "feature":  # its dictionary says in which layer
                found = replace(found, layer=partner[0])
        return found

    def told(self, before: Workspace, after: Workspace, given: Sequence[str] = ()) -> Workspace:
        """What was changed in this column (`before` to `after`, as it sees them), for all.

        `before` is the whole workspace, `given` names what was chosen even where it looks as it
        was. A unit that has no counterpart in A is not selected there, nor is its layer.
        """
        if not self.number:
            return after
        new, told = after.selection, before.selection
        changed = self._changed(before, new, given)
        unit = self._unit(changed, new)
        if unit and (there := self.back.get(unit, {}).get(_place(new, unit))):
            told = replace(told, **{unit: there[1]})
            if unit != "feature":
                told = replace(told, layer=there[0])
        for name in changed:
            value = getattr(new, name)
            if name == "token" and value is not None and self.tokens:
                value = self.tokens[value] if value < len(self.tokens) else -1
                if value < 0:
                    continue
            elif name == "layer":
                if unit:
                    continue
                value = self.layer_of_a(value)
            elif name in self.partners:
                continue
            told = replace(told, **{name: value})
        return replace(after, models=before.models, selection=told)

    def stray(
        self, before: Workspace, after: Workspace, given: Sequence[str] = ()
    ) -> tuple[str, Pair] | None:
        """The kind and place of a unit that was chosen here and has no counterpart in A."""
        new = after.selection
        unit = self._unit(self._changed(before, new, given), new) if self.number else ""
        if not unit or _place(new, unit) in self.back.get(unit, {}):
            return None
        return unit, _place(new, unit)

    def _changed(self, before: Workspace, new: Selection, given: Sequence[str]) -> list[str]:
        """What of the selection was chosen here."""
        mine = self.seen(before).selection
        return [
            name
            for name in ("token", "layer", "head", "neuron", "feature")
            if name in given or getattr(new, name) != getattr(mine, name)
        ]

    def _unit(self, changed: Sequence[str], new: Selection) -> str:
        """The kind of the unit that was chosen, where its number means nothing in A."""
        kinds = (name for name in changed if name in self.partners)
        return next((name for name in kinds if getattr(new, name) is not None), "")


def _place(chosen: Selection, unit: str) -> Pair:
    return 0 if unit == "feature" else chosen.layer, getattr(chosen, unit)


_here: ContextVar[Side | None] = ContextVar("side", default=None)
_ONE = Side()


def here() -> Side:
    """The side that is being drawn, or that a callback belongs to."""
    return _here.get() or _ONE


def first() -> bool:
    """Is this model A's column, where controls stand?"""
    return here().number == 0


def comparing() -> bool:
    """Are several models drawn beside each other?"""
    return here().of > 1


def key(name: str) -> str:
    """A key of a panel or an element, its own in every column."""
    side = here()
    ending = f"_on_{side.letter}"
    own = name.endswith(ending) or f"{ending}_" in name  # as in the chart of a panel
    return name if own or not side.number else name + ending


@contextmanager
def drawn_for(side: Side) -> Iterator[None]:
    """Draw for this side; callbacks made inside belong to it."""
    token = _here.set(side)
    try:
        yield
    finally:
        _here.reset(token)


_Call = TypeVar("_Call", bound=Callable[..., Any])


def bound(call: _Call) -> _Call:
    """A callback that runs as part of the column it was made in."""
    side = here()
    if not side.number:
        return call

    @wraps(call)
    def run(*args: Any, **options: Any) -> Any:
        with drawn_for(side):
            return call(*args, **options)

    return run  # type: ignore[return-value]


def columns(widths: Sequence[float] | int, **options: Any) -> list[Any]:
    """Columns of a page, one below the other where models stand beside each other."""
    if comparing():
        return [st.container() for _ in range(widths if isinstance(widths, int) else len(widths))]
    return list(st.columns(widths, **options))


def told(element: str, event: str) -> Any:
    """What the browser told through an own element; None when the element is gone meanwhile."""
    found = st.session_state.get(element)
    return found.get(event) if found else None
