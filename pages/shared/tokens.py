"""Tokens on the screen: the strip, the strip with attention, and the list of neurons.

Token text enters the page through `textContent` alone, so no token can become markup.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from core.figures.theme import css_roles
from core.figures.wording import count, number, visible

MOST_TOKENS = 2_048
MOST_QUERIES = 1_024  # of the attention strip: its weights grow with the square


@dataclass(frozen=True, slots=True)
class NeuronRow:
    """One line of the neuron list."""

    site: str  # "L5.neuron[77]"
    activation: float  # signed, activation units
    peak: float  # observed maximum of |activation|, > 0
    writes: tuple[str, ...]  # top tokens, strongest first
    suppresses: tuple[str, ...] = ()
    clamped: bool = False  # already in the tray: the + becomes a mark


# One part serves both strips: with `weights` the shading follows the token pointed at.
_STRIP_JS = r"""
export default function (component) {
  const { data, setTriggerValue, parentElement } = component;
  const strip = parentElement.querySelector("[role=listbox]");
  const note = parentElement.querySelector(".note");
  const { tokens, start, special, picked, values, limit } = data;
  const weights = data.weights?.getChildAt(0).toArray();    // [query * key] 0..255
  const n = tokens.length;
  const last = start + n - 1;

  strip.setAttribute("aria-label", data.label);
  strip.querySelectorAll("br").forEach((line) => line.remove());
  while (strip.children.length > n) strip.lastChild.remove();
  while (strip.children.length < n) {                       // kept between runs, with the focus
    const span = document.createElement("span");
    span.setAttribute("role", "option");
    strip.append(span);
  }
  const spans = [...strip.children];
  const worth = (i) => values?.[i - start] ?? null;
  const digits = (v) => (v === null ? "no value"
    : Number(v.toPrecision(3)).toString().replace("-", "\u2212"));
  const name = (i) => `${i} \u201c${tokens[i - start]}\u201d`;
  const stop = picked === null ? last : Math.min(last, Math.max(start, picked));
  tokens.forEach((text, at) => {
    const span = spans[at], i = start + at, v = worth(i);
    if (span.textContent !== text) span.textContent = text;
    span.dataset.i = i;
    span.className = special[at] ? "special" : "";
    if (text.endsWith("\u23ce")) span.after(document.createElement("br"));
    span.tabIndex = i === stop ? 0 : -1;
    span.setAttribute("aria-selected", i === picked);
    span.setAttribute("aria-label", name(i) + (values ? `, ${digits(v)} ${data.unit}` : ""));
    const share = v === null ? 0 : Math.min(1, Math.abs(v) / limit);
    shade(span, share, data.signed ? (v < 0 ? "--role-low" : "--role-high") : "--role-weight");
  });

  // At most half of the colour: stronger backgrounds make the text hard to read. The line
  // below a weight says the same by its thickness.
  function shade(span, share, hue) {
    const part = (share * 50).toFixed(0);
    span.style.background = part > 0
      ? `color-mix(in oklab, var(${hue}) ${part}%, transparent)` : "";
    span.style.boxShadow = weights && share > 0.02
      ? `inset 0 -${(1 + share * 3).toFixed(1)}px 0 var(${hue})` : "";
  }
  function look(query) {
    const row = weights.subarray((query - start) * n, (query - start + 1) * n);
    for (let at = 0; at < n; at++) {
      const span = spans[at];
      shade(span, row[at] / 255, "--role-weight");
      span.classList.toggle("later", data.causal && at > query - start);
      span.classList.toggle("query", at === query - start);
    }
    const order = [...row.keys()].sort((a, b) => row[b] - row[a]).slice(0, 4);
    note.textContent = `${name(query)} looks at  ` + order.filter((k) => row[k])
      .map((k) => `${name(start + k)} ${(row[k] / 255).toFixed(2)}`).join("   ");
  }
  function tell(i) {
    if (weights) look(i);
    else note.textContent = name(i) + (values ? `   ${digits(worth(i))} ${data.unit}` : "");
  }
  const rest = () => {
    if (picked !== null && picked >= start && picked <= last) tell(picked);
    else if (weights) look(last);
    else note.textContent = "";
  };
  rest();

  const token = (event) => event.target.closest?.("[role=option]");
  const point = (event) => { const span = token(event); if (span) tell(Number(span.dataset.i)); };
  strip.onmouseover = point;
  strip.onfocusin = point;
  strip.onmouseleave = rest;
  strip.onfocusout = rest;
  strip.onclick = (event) => {
    const span = token(event);
    if (span) setTriggerValue("pick", Number(span.dataset.i));
  };
  strip.onkeydown = (event) => {
    const span = token(event);
    if (!span || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = Number(span.dataset.i) - start;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: n - 1 }[event.key];
    if (spans[to]) {
      span.tabIndex = -1;
      spans[to].tabIndex = 0;
      spans[to].focus();
    } else if (event.key === "Enter" || event.key === " ") {
      setTriggerValue("pick", start + at);
    } else {
      return;
    }
    event.preventDefault();
  };
}
"""

_STRIP_CSS = (
    ":host {"
    + css_roles()
    + """ }
[role=listbox] {
  font: 0.9rem/2.1 var(--st-code-font); color: var(--st-text-color);
  max-height: 18rem; overflow-y: auto; padding: 2px;
}
[role=option] {
  display: inline-block; max-width: 100%; white-space: pre-wrap; overflow-wrap: anywhere;
  unicode-bidi: isolate; cursor: pointer; line-height: 1.5; vertical-align: middle;
  padding: 0 0.16em; margin: 0 1px; border-radius: 3px;
}
.special {
  border: 1px solid var(--st-border-color); color: var(--role-muted); font-size: 0.85em;
  padding: 0 0.4em; border-radius: 8px;
}
.later { opacity: 0.4; }
[role=option]:hover { outline: 1px solid var(--role-muted); outline-offset: 0; }
.query { outline: 1.5px dashed var(--st-text-color); outline-offset: 0; }
[aria-selected=true] { outline: 2px solid var(--st-primary-color); outline-offset: 0; }
[role=option]:focus-visible { outline: 2px solid var(--st-text-color); outline-offset: 1px; }
.note {
  font: 0.8rem/1.5 var(--st-code-font); color: var(--role-muted); min-height: 1.5em;
  margin-top: 4px; white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: plaintext;
}
"""
)

_strip = st.components.v2.component(
    "eidoscope_token_strip",
    html="<div role='listbox' aria-orientation='horizontal'></div><div class='note'></div>",
    css=_STRIP_CSS,
    js=_STRIP_JS,
)


def token_strip(
    tokens: Sequence[str],
    *,
    key: str,
    label: str,
    on_pick: Callable[[int], None],
    picked: int | None = None,
    special: Sequence[bool] | None = None,
    values: Sequence[float] | np.ndarray | None = None,
    limit: float | None = None,
    signed: bool = True,
    unit: str = "",
) -> None:
    """The tokens of a text in reading order; `on_pick(index)` on a click or Enter.

    values  [token] shown as background, NaN is "no value"; `limit` is the value of full
            colour (default: the largest |value|); `signed` colours diverge at 0.

    Of a longer text than `MOST_TOKENS` the stretch around the picked token is shown.
    """
    shown = _window(len(tokens), picked, MOST_TOKENS)
    data = _strip_data(tokens, special, shown, label, picked)
    if values is not None:
        numbers = np.asarray(values, dtype=float)
        finite = np.abs(numbers[np.isfinite(numbers)])
        data["values"] = [v if np.isfinite(v) else None for v in numbers[shown].tolist()]
        data["limit"] = float(limit or (finite.max() if finite.size else 0) or 1.0)
        data["signed"], data["unit"] = signed, unit
    _draw(data, key, on_pick)
    _say_cut(shown, len(tokens))


def attention_strip(
    tokens: Sequence[str],
    weights: np.ndarray,
    *,
    key: str,
    label: str,
    query: int,
    on_pick: Callable[[int], None],
    special: Sequence[bool] | None = None,
) -> None:
    """The tokens shaded by where `query` looks; pointing at any token shows where that one looks.

    weights  [query, key] uint8, weight = value / 255, as `AttentionResult.pattern`; sent once,
             so that pointing asks nothing of the server
    """
    shown = _window(len(tokens), query, MOST_QUERIES)
    part = np.ascontiguousarray(weights[shown, shown], dtype=np.uint8)
    data = _strip_data(tokens, special, shown, label, query)
    data["weights"] = part.reshape(-1)
    data["causal"] = not np.triu(part, 1).any()
    _draw(data, key, on_pick)
    _say_cut(shown, len(tokens))


def _window(n: int, picked: int | None, most: int) -> slice:
    """The stretch of at most `most` tokens that is shown, `picked` inside it."""
    middle = 0 if picked is None or picked < most else picked
    start = max(0, min(middle - most // 2, n - most))
    return slice(start, min(n, start + most))


def _strip_data(
    tokens: Sequence[str],
    special: Sequence[bool] | None,
    shown: slice,
    label: str,
    picked: int | None,
) -> dict[str, Any]:
    return {
        "label": label,
        "tokens": [visible(piece) for piece in tokens[shown]],
        "special": [bool(s) for s in (special or [False] * len(tokens))[shown]],
        "start": shown.start,
        "picked": picked,
        "unit": "",
    }


def _draw(data: dict[str, Any], key: str, on_pick: Callable[[int], None]) -> None:
    def relay() -> None:
        index = st.session_state[key].get("pick")
        if index is not None:
            on_pick(int(index))

    _strip(key=key, data=data, on_pick_change=relay)


def _say_cut(shown: slice, n: int) -> None:
    if shown.stop - shown.start < n:
        st.caption(f"tokens {shown.start:,} to {shown.stop - 1:,} of {count(n, 'token')}")


_NEURONS_JS = r"""
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
  const send = (found) =>
    setTriggerValue(found.classList.contains("plus") ? "clamp" : "open", Number(found.dataset.i));
  list.onclick = (event) => { const found = button(event); if (found) send(found); };
  list.onkeydown = (event) => {
    const found = button(event);
    if (!found || event.ctrlKey || event.metaKey || event.altKey) return;
    const i = Number(found.dataset.i), side = found.classList.contains("plus") ? 1 : 0;
    const row = { ArrowDown: i + 1, ArrowUp: i - 1, Home: 0, End: rows.length - 1 }[event.key];
    const column = { ArrowRight: 1, ArrowLeft: 0 }[event.key];
    if (event.key === "k") setTriggerValue("clamp", i);
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

_NEURONS_CSS = (
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

_neurons = st.components.v2.component(
    "eidoscope_neuron_list", html="<ul></ul>", css=_NEURONS_CSS, js=_NEURONS_JS
)


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

    def relay(event: str, act: Callable[[int], None]) -> Callable[[], None]:
        def run() -> None:
            index = st.session_state[key].get(event)
            if index is not None and 0 <= int(index) < len(rows):
                act(int(index))

        return run

    _neurons(
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
