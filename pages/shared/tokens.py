"""Tokens on the screen: the strip, the strip with attention, and (beside it) the neurons.

Token text enters the page through `textContent` alone, so no token can become markup.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import streamlit as st

from core.figures.theme import css_roles
from core.figures.wording import count, visible
from pages.shared import sides
from pages.shared.neuron_list import NeuronRow, neuron_list

__all__ = ["NeuronRow", "attention_strip", "neuron_list", "token_strip"]

MOST_TOKENS = 2_048
MOST_QUERIES = 1_024  # of the attention strip: its weights grow with the square


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
    key, then = sides.key(key), sides.bound(on_pick)

    def relay() -> None:
        index = sides.told(key, "pick")
        if index is not None:
            then(int(index))

    _strip(key=key, data=data, on_pick_change=relay)


def _say_cut(shown: slice, n: int) -> None:
    if shown.stop - shown.start < n:
        st.caption(f"tokens {shown.start:,} to {shown.stop - 1:,} of {count(n, 'token')}")
