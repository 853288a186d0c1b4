"""The list of neurons: how active, against their own peak, and what they write.

Token text enters the page through `textContent` alone, so no token can become markup.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.figures.theme import css_roles
from core.figures.wording import number, visible
from pages.shared import sides


@dataclass(frozen=True, slots=True)
class NeuronRow:
    """One line of the neuron list."""

    site: str  # "L5.neuron[77]"
    activation: float  # signed, activation units
    peak: float  # observed maximum of |activation|, > 0
    writes: tuple[str, ...]  # top tokens, strongest first
    suppresses: tuple[str, ...] = ()
    clamped: bool = False  # already in the tray: the + becomes a mark


_JS = r"""
export default function (component) {
  const { data, setTriggerValue, parentElement } = component;
  const list = parentElement.querySelector("ul");
  const { rows, picked } = data;
  list.setAttribute("aria-label", data.label);

  const part = (parent, kind, name) => {
    const found = document.createElement(kind);
    found.className = name;
    parent.append(found);
    return found;
  };
  const fresh = () => {
    const item = part(list, "li", "");
    const open = part(item, "button", "open");
    for (const name of ["site", "value", "bar", "writes"]) part(open, "span", name);
    part(open.querySelector(".bar"), "i", "");
    part(item, "button", "plus");
  };
  while (list.children.length > rows.length) list.lastChild.remove();
  while (list.children.length < rows.length) fresh();

  rows.forEach((row, i) => {
    const item = list.children[i];
    const [open, plus] = item.children;
    item.className = i === picked ? "picked" : "";
    open.dataset.i = plus.dataset.i = i;
    open.tabIndex = plus.tabIndex = i === (picked ?? 0) ? 0 : -1;
    open.setAttribute("aria-current", i === picked);
    open.title = row.title;
    open.querySelector(".site").textContent = row.site;
    open.querySelector(".value").textContent = row.value;
    const fill = open.querySelector("i");
    fill.style.width = `${(row.share * 100).toFixed(0)}%`;
    fill.className = row.negative ? "low" : "high";
    const chips = open.querySelector(".writes");
    while (chips.children.length > row.writes.length) chips.lastChild.remove();
    while (chips.children.length < row.writes.length) part(chips, "span", "chip");
    row.writes.forEach((text, k) => { chips.children[k].textContent = text; });
    plus.textContent = row.clamped ? "\u2713" : "+";
    plus.title = row.clamped ? `${row.site} is in the tray` : `Clamp ${row.site}`;
    plus.setAttribute("aria-label", plus.title);
    plus.classList.toggle("held", row.clamped);
  });

  const button = (event) => event.target.closest?.("button");
  // The site and not the row: the list may have changed on its way here.
  const site = (found) => rows[Number(found.dataset.i)].site;
  const send = (found) =>
    setTriggerValue(found.classList.contains("plus") ? "clamp" : "open", site(found));
  list.onclick = (event) => { const found = button(event); if (found) send(found); };
  list.onkeydown = (event) => {
    const found = button(event);
    if (!found || event.ctrlKey || event.metaKey || event.altKey) return;
    const i = Number(found.dataset.i), side = found.classList.contains("plus") ? 1 : 0;
    const row = { ArrowDown: i + 1, ArrowUp: i - 1, Home: 0, End: rows.length - 1 }[event.key];
    const column = { ArrowRight: 1, ArrowLeft: 0 }[event.key];
    if (event.key === "k") setTriggerValue("clamp", site(found));
    else if (list.children[row]) list.children[row].children[side].focus();
    else if (column !== undefined) list.children[i].children[column].focus();
    else return;                                   // Enter and Space press the button itself
    event.preventDefault();
    event.stopPropagation();
  };
  list.onfocusin = (event) => {                    // one tab stop: the row last visited
    const found = button(event);
    for (const each of list.querySelectorAll("button")) {
      each.tabIndex = each.dataset.i === found.dataset.i ? 0 : -1;
    }
  };
}
"""

_CSS = (
    ":host {"
    + css_roles()
    + """ }
ul { list-style: none; margin: 0; padding: 0; container-type: inline-size; }
li {
  display: flex; align-items: center; gap: 8px; border-bottom: 1px solid var(--st-border-color);
}
li:last-child { border-bottom: 0; }
li.picked { box-shadow: inset 3px 0 0 var(--st-primary-color); }
button {
  font: inherit; color: inherit; background: none; border: 0; cursor: pointer; padding: 0;
  border-radius: 4px;
}
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: -2px; }
.open {
  flex: 1; min-width: 0; display: grid; align-items: center; text-align: left; gap: 12px;
  grid-template-columns: 10.8em 4em 56px minmax(0, 1fr); padding: 6px 0 6px 8px;
  font: 0.85rem/1.4 var(--st-code-font); color: var(--st-text-color);
}
li:hover { background: var(--st-secondary-background-color); }
.value { text-align: right; font-variant-numeric: tabular-nums; }
.bar { height: 6px; border-radius: 3px; background: var(--st-border-color); overflow: hidden; }
.bar i { display: block; height: 100%; border-radius: 3px; }
.bar .high { background: var(--role-high); }
.bar .low { background: var(--role-low); }
.writes { display: flex; gap: 4px; overflow: hidden; flex-wrap: wrap; max-height: 1.7em; }
.chip {
  unicode-bidi: isolate; white-space: pre; padding: 0 5px; border-radius: 4px;
  background: color-mix(in oklab, var(--st-text-color) 8%, transparent);
  max-width: 100%; overflow: hidden; text-overflow: ellipsis;
}
.plus {
  flex: none; width: 28px; height: 28px; font: 600 1rem/1 var(--st-font);
  color: var(--role-clamped); border: 1px solid var(--st-border-color);
}
.plus:hover { border-color: var(--role-clamped); }
.held { background: color-mix(in oklab, var(--role-clamped) 18%, transparent); }
@container (max-width: 430px) {
  .open { grid-template-columns: minmax(0, 1fr) 4em 40px; row-gap: 2px; }
  .writes { grid-column: 1 / -1; }
}
"""
)

_list = st.components.v2.component("eidoscope_neuron_list", html="<ul></ul>", css=_CSS, js=_JS)


def neuron_list(
    rows: Sequence[NeuronRow],
    *,
    key: str,
    label: str,
    on_clamp: Callable[[int], None],
    on_open: Callable[[int], None],
    picked: int | None = None,
) -> None:
    """Neurons, one per row; `on_open(row)` for the row, `on_clamp(row)` for its + button or `k`.

    The bar is |activation| against the unit's own peak; its colour and the number's sign say
    which way.
    """

    key = sides.key(key)

    def relay(event: str, act: Callable[[int], None]) -> Callable[[], None]:
        then = sides.bound(act)

        def run() -> None:
            site = sides.told(key, event)
            sites = [row.site for row in rows]
            if site in sites:  # else the list has changed since the click: nothing is meant by it
                then(sites.index(site))

        return run

    _list(
        key=key,
        data={"label": label, "picked": picked, "rows": [_row(row) for row in rows]},
        on_clamp_change=relay("clamp", on_clamp),
        on_open_change=relay("open", on_open),
    )


def _row(row: NeuronRow) -> dict[str, Any]:
    against = ", ".join(f"“{visible(piece, 16)}”" for piece in row.suppresses[:4])
    return {
        "site": row.site,
        "value": number(row.activation, sign=True),
        "share": min(1.0, abs(row.activation) / row.peak) if row.peak > 0 else 0.0,
        "negative": row.activation < 0,
        "writes": [visible(piece, 14) for piece in row.writes],
        "clamped": row.clamped,
        "title": f"{number(abs(row.activation))} of {number(row.peak)}, its largest"
        + (f"; suppresses {against}" if against else ""),
    }
