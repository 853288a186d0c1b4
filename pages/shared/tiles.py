"""Patterns as pictures: small ones of all heads, and one in full for texts of any length.

Weights travel once, 8 bits each, and the browser paints them: pointing asks nothing of the
server. Token text enters the page through `textContent` alone, so no token can become markup.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import streamlit as st

from core.figures.theme import css_roles
from core.figures.wording import visible
from pages.shared import sides

MOST_SIDE = 1_024  # cells of the full picture; of a longer text a cell is several tokens

# Paints [h, w] bytes: the hue of weights, as opaque as the weight's square root, so that small
# weights can be seen.
_PAINT = r"""
function hue(element) {
  element.style.color = "var(--role-weight)";
  return getComputedStyle(element).color.match(/[\d.]+/g).slice(0, 3).map(Number);
}
function paint(canvas, bytes, width, height, rgb) {
  canvas.width = width; canvas.height = height;
  const image = new ImageData(width, height);
  for (let at = 0; at < width * height; at++) {
    for (let i = 0; i < 3; i++) image.data[4 * at + i] = rgb[i];
    image.data[4 * at + 3] = Math.sqrt(255 * bytes[at]);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
"""

_TILES_JS = (
    _PAINT
    + r"""
export default function (component) {
  const { data, setTriggerValue, parentElement } = component;
  const list = parentElement.querySelector("[role=listbox]");
  const note = parentElement.querySelector(".note");
  const bytes = data.tiles.getChildAt(0).toArray();
  const size = data.height * data.width, rgb = hue(parentElement.querySelector(".hue"));
  list.setAttribute("aria-label", data.label);
  list.style.gridTemplateColumns = `repeat(${data.columns}, minmax(0, 110px))`;
  list.replaceChildren();
  const first = data.picked ?? 0;
  data.names.forEach((name, i) => {
    const tile = document.createElement("button");
    tile.type = "button";
    tile.dataset.i = i;
    tile.tabIndex = i === first ? 0 : -1;
    tile.setAttribute("role", "option");
    tile.setAttribute("aria-selected", i === data.picked);
    tile.setAttribute("aria-label", data.notes[i]);
    const canvas = document.createElement("canvas"), word = document.createElement("span");
    word.textContent = name;
    tile.append(canvas, word);
    list.append(tile);
    paint(canvas, bytes.subarray(i * size, (i + 1) * size), data.width, data.height, rgb);
  });
  const rest = () => { note.textContent = data.notes[data.picked] ?? ""; };
  rest();
  const tile = (event) => event.target.closest?.("[role=option]");
  const point = (event) => {
    const found = tile(event);
    if (found) note.textContent = data.notes[Number(found.dataset.i)];
  };
  list.onmouseover = point;
  list.onfocusin = point;
  list.onmouseleave = rest;
  list.onclick = (event) => {
    const found = tile(event);
    if (found) setTriggerValue("pick", Number(found.dataset.i));
  };
  list.onkeydown = (event) => {
    const found = tile(event);
    if (!found) return;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: data.columns, ArrowUp: -data.columns };
    const next = list.children[Number(found.dataset.i) + (step[event.key] ?? NaN)];
    if (!next) return;
    found.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
    event.preventDefault();
  };
}
"""
)

_CSS = (
    ":host {"
    + css_roles()
    + """ }
.hue { display: none; }
[role=listbox] { display: grid; gap: 4px; max-height: 34rem; overflow: auto; }
[role=option] {
  padding: 2px; margin: 0; border: 1px solid var(--st-border-color); border-radius: 4px;
  background: var(--st-background-color); color: var(--role-muted); cursor: pointer;
  min-width: 22px;
  font: 0.7rem/1.3 var(--st-code-font); text-align: center; overflow: hidden;
}
[role=option]:hover { border-color: var(--role-muted); }
[role=option]:focus-visible { outline: 2px solid var(--st-text-color); outline-offset: 1px; }
[aria-selected=true] { outline: 2px solid var(--st-primary-color); outline-offset: 0; }
[role=option] canvas {
  display: block; width: 100%; aspect-ratio: 1; image-rendering: pixelated; margin-bottom: 1px;
}
.whole { position: relative; max-width: 720px; border: 1px solid var(--st-border-color); }
.whole canvas { display: block; width: 100%; image-rendering: pixelated; cursor: crosshair; }
.row {
  position: absolute; left: 0; right: 0; pointer-events: none; min-height: 2px;
  outline: 1px solid var(--st-primary-color);
}
.note {
  font: 0.8rem/1.5 var(--st-code-font); color: var(--role-muted); min-height: 1.5em;
  margin-top: 4px; white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: plaintext;
}
"""
)

_tiles = st.components.v2.component(
    "eidoscope_tiles",
    html="<div class='hue'></div><div role='listbox'></div><div class='note'></div>",
    css=_CSS,
    js=_TILES_JS,
)


def tiles(
    pictures: np.ndarray,
    *,
    names: Sequence[str],
    notes: Sequence[str],
    columns: int,
    key: str,
    label: str,
    picked: int | None,
    on_pick: Callable[[int], None],
) -> None:
    """Small pictures side by side; `on_pick(index)` on a click or Enter.

    pictures  [picture, query, key] uint8
    names     below each; notes: said while it is pointed at; both plain text
    """
    data = {
        "tiles": np.ascontiguousarray(pictures, dtype=np.uint8).reshape(-1),
        "height": pictures.shape[1],
        "width": pictures.shape[2],
        "names": list(names),
        "notes": list(notes),
        "columns": columns,
        "label": label,
        "picked": picked,
    }

    key, then = sides.key(key), sides.bound(on_pick)

    def relay() -> None:
        index = sides.told(key, "pick")
        if index is not None and 0 <= int(index) < len(pictures):
            then(int(index))

    _tiles(key=key, data=data, on_pick_change=relay)


_WHOLE_JS = (
    _PAINT
    + r"""
export default function (component) {
  const { data, setTriggerValue, parentElement } = component;
  const canvas = parentElement.querySelector("canvas");
  const note = parentElement.querySelector(".note"), row = parentElement.querySelector(".row");
  const bytes = data.weights.getChildAt(0).toArray(), n = data.side, step = data.step;
  paint(canvas, bytes, n, n, hue(parentElement.querySelector(".hue")));
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", data.label);
  const at = Math.floor(data.picked / step);
  row.style.top = `${100 * at / n}%`;
  row.style.height = `${100 / n}%`;
  const name = (cell) => {
    const first = cell * step, last = Math.min(first + step, data.tokens.length) - 1;
    const words = data.tokens.slice(first, last + 1).join(" ");
    return (first === last ? `${first}` : `${first} to ${last}`) + ` \u201c${words}\u201d`;
  };
  const cell = (event) => {
    const box = canvas.getBoundingClientRect();
    const clip = (v) => Math.max(0, Math.min(n - 1, Math.floor(v * n)));
    return [
      clip((event.clientY - box.top) / box.height), clip((event.clientX - box.left) / box.width),
    ];
  };
  const tell = ([query, key]) => {
    const weight = bytes[query * n + key] / 255;
    note.textContent =
      `${name(query)} looks at ${name(key)}  ${step > 1 ? "at most " : ""}${weight.toFixed(2)}`;
  };
  const told = "Row: the token that looks. Column: the token looked at.";
  const rest = () => { note.textContent = told; };
  rest();
  canvas.onmousemove = (event) => tell(cell(event));
  canvas.onmouseleave = rest;
  canvas.onclick = (event) => setTriggerValue("pick", cell(event)[0] * step);
}
"""
)

_whole = st.components.v2.component(
    "eidoscope_pattern",
    html=(
        "<div class='hue'></div><div class='whole'><canvas></canvas><div class='row'></div></div>"
        "<div class='note'></div>"
    ),
    css=_CSS,
    js=_WHOLE_JS,
)


def whole_pattern(
    tokens: Sequence[str],
    weights: np.ndarray,
    *,
    key: str,
    label: str,
    query: int,
    on_pick: Callable[[int], None],
) -> int:
    """Query by key, all of it; `on_pick(query)` on a click. Returns the tokens a cell stands for.

    weights  [query, key] uint8, weight = value / 255; where there are more than `MOST_SIDE`
             tokens a cell is the largest weight of its square
    """
    pictured, step = pooled(weights)
    data: dict[str, Any] = {
        "tokens": [visible(piece, 12) for piece in tokens],
        "weights": pictured.reshape(-1),
        "side": len(pictured),
        "step": step,
        "label": label,
        "picked": query,
    }

    key, then = sides.key(key), sides.bound(on_pick)

    def relay() -> None:
        index = sides.told(key, "pick")
        if index is not None and 0 <= int(index) < len(tokens):
            then(int(index))

    _whole(key=key, data=data, on_pick_change=relay)
    return step


def pooled(weights: np.ndarray) -> tuple[np.ndarray, int]:
    """([cell, cell] uint8, tokens a cell is wide): the largest weight of each square."""
    n = len(weights)
    step = -(-n // MOST_SIDE)
    if step == 1:
        return np.ascontiguousarray(weights, dtype=np.uint8), 1
    side = -(-n // step)
    room = np.zeros((side * step, side * step), dtype=np.uint8)
    room[:n, :n] = weights
    return room.reshape(side, step, side, step).max(axis=(1, 3)), step
