"""Texts with one unit's activation behind every token: where it fires, and how strongly.

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
class Context:
    """A stretch of text with the unit's values; `peak` is the token it is shown for.

    `marked` is another token that belongs to it: with dashes around it.
    """

    tokens: tuple[str, ...]
    values: tuple[float, ...]  # [token] activation units, signed
    peak: int  # index into `tokens`
    source: str = ""  # where the text is from, plain text
    marked: int | None = None  # index into `tokens`


_JS = r"""
export default function (component) {
  const { data, setTriggerValue, parentElement } = component;
  const list = parentElement.querySelector("ol");
  list.setAttribute("aria-label", data.label);
  const part = (parent, kind, name, text) => {
    const found = document.createElement(kind);
    found.className = name;
    if (text !== undefined) found.textContent = text;
    parent.append(found);
    return found;
  };
  const digits = (v) => Number(v.toPrecision(3)).toString().replace("-", "\u2212");
  list.replaceChildren();
  data.rows.forEach((row, i) => {
    const item = part(list, "li", "");
    const use = part(item, "button", "value", row.value);
    use.title = data.usable ? "Use this text as the prompt" : row.source;
    use.disabled = !data.usable;
    use.setAttribute("aria-label", `${row.value}, token ${row.tokens[row.peak]}. ${use.title}`);
    use.onclick = () => setTriggerValue("use", i);
    const text = part(item, "div", "text");
    row.tokens.forEach((token, at) => {
      const kind = (at === row.peak ? "peak " : "") + (at === row.marked ? "marked" : "");
      const span = part(text, "span", kind.trim(), token);
      const v = row.values[at], share = Math.min(1, Math.abs(v) / data.limit);
      span.title = `${digits(v)}${data.unit}`;
      if (share > 0.03) {
        const hue = !data.signed ? "--role-weight" : v < 0 ? "--role-low" : "--role-high";
        span.style.background =
          `color-mix(in oklab, var(${hue}) ${(share * 60).toFixed(0)}%, transparent)`;
      }
    });
    if (row.source) part(item, "span", "source", row.source);
  });
}
"""

_CSS = (
    ":host {"
    + css_roles()
    + """ }
ol { list-style: none; margin: 0; padding: 0; container-type: inline-size; }
li {
  display: grid; grid-template-columns: 4.2em minmax(0, 1fr) auto; gap: 10px; align-items: baseline;
  padding: 5px 0; border-bottom: 1px solid var(--st-border-color);
}
li:last-child { border-bottom: 0; }
.value {
  font: 0.8rem/1.4 var(--st-code-font); font-variant-numeric: tabular-nums; text-align: right;
  color: var(--st-text-color); background: none; border: 1px solid transparent; cursor: pointer;
  border-radius: 4px; padding: 1px 5px;
}
.value:disabled { cursor: default; }
.value:not(:disabled):hover { border-color: var(--st-border-color); }
.value:focus-visible { outline: 2px solid var(--st-primary-color); }
.text {
  font: 0.85rem/1.7 var(--st-code-font); color: var(--st-text-color);
  white-space: pre-wrap; overflow-wrap: anywhere; max-height: 8.5em; overflow-y: auto;
}
.text span { border-radius: 3px; padding: 1px 0; unicode-bidi: isolate; }
.text .peak { outline: 1.5px solid var(--st-text-color); outline-offset: -1px; }
.text .marked { outline: 1.5px dashed var(--st-text-color); outline-offset: -1px; }
.text .peak.marked { outline-style: double; outline-width: 3px; }
.source { font: 0.75rem/1.4 var(--st-font); color: var(--role-muted); white-space: nowrap; }
@container (max-width: 480px) { .source { display: none; } }
"""
)

_list = st.components.v2.component("eidoscope_contexts", html="<ol></ol>", css=_CSS, js=_JS)


def contexts(
    rows: Sequence[Context],
    *,
    key: str,
    label: str,
    limit: float,
    unit: str = "",
    signed: bool = True,
    on_use: Callable[[int], None] | None = None,
) -> None:
    """Texts one below the other; colour is value / `limit`, where `signed` its sign the hue.

    `on_use(row)` when a text is chosen by its number at the left; None: nothing can be chosen.
    """

    key = sides.key(key)
    then = None if on_use is None else sides.bound(on_use)

    def relay() -> None:
        row = sides.told(key, "use")
        if row is not None and then is not None and 0 <= int(row) < len(rows):
            then(int(row))

    _list(
        key=key,
        data={
            "label": label,
            "limit": float(limit) or 1.0,
            "unit": f" {unit}" if unit else "",
            "signed": signed,
            "usable": on_use is not None,
            "rows": [_row(row, signed) for row in rows],
        },
        on_use_change=relay,
    )


def _row(row: Context, signed: bool) -> dict[str, Any]:
    return {
        "value": number(row.values[row.peak], sign=signed),
        "tokens": [_spaced(piece) for piece in row.tokens],
        "values": [round(float(v), 5) for v in row.values],
        "peak": row.peak,
        "marked": row.marked,
        "source": row.source,
    }


def _spaced(piece: str) -> str:
    """A token inside running text: leading blanks stay blanks, hidden signs become visible."""
    body = piece.lstrip(" ")
    return " " * (len(piece) - len(body)) + (visible(body) if body else "")
