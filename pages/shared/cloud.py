"""A cloud of points with a slider over depth: the points glide from layer to layer in the browser.

The chart is Streamlit's own, sent once; a small part above it holds the places of all layers and
moves the points, so that a slider answers at once and keeps zoom, camera and selection. It leans on
the same internals of Streamlit's chart as `pages/shared/clicks.py`; a browser test guards them.
"""

import base64
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages.shared import sides

_JS = r"""
const GLIDE = 420, PAUSE = 650, REST = 150;       // milliseconds
export default function (component) {
  const { data, setTriggerValue, parentElement } = component;
  parentElement.eidoscopeStop?.();
  const find = (name) => parentElement.querySelector(name);
  const slider = find("input"), play = find("button"), said = find("output"), note = find(".note");
  const bytes = Uint8Array.from(atob(data.places), (c) => c.charCodeAt(0));
  const places = new Float32Array(bytes.buffer);  // [layer, point, dimension]
  const { layers, points, items, dims } = data;
  const axes = ["x", "y", "z"].slice(0, dims);
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  // The page answers a move while the next one is being made: its echo must not take the slider
  // back. Only a layer that was never told from here, or other points, come from elsewhere.
  const memory = (parentElement.eidoscopeCloud ??= { told: new Set() });
  const echo = memory.places === data.places
    && (memory.told.has(data.layer) || memory.seen === data.layer);
  if (!echo) { memory.target = data.layer; memory.told.clear(); }
  Object.assign(memory, { places: data.places, seen: data.layer });
  let gd = null, shown = memory.target, target = memory.target, frame = 0, playing = 0, own = null;
  let rest = 0;

  const value = (at, item, axis) => {
    const low = Math.floor(at), high = Math.min(layers - 1, low + 1), share = at - low;
    const cell = (layer) => places[(layer * points + item) * dims + axis];
    return share ? (1 - share) * cell(low) + share * cell(high) : cell(low);
  };
  const put = (at) => {
    if (!gd) return;
    const update = {};
    axes.forEach((name, axis) => {
      update[name] = data.traces.map(([, of]) => Float32Array.from(of, (i) => value(at, i, axis)));
    });
    own = update.x[0];
    window.Plotly.restyle(gd, update, data.traces.map(([number]) => number));
    shown = at;
  };
  const words = () => {
    said.textContent = data.names[target];
    note.textContent = data.notes[target] ?? "";
    slider.setAttribute("aria-valuetext", data.names[target]);
  };
  const glide = (to) => {
    cancelAnimationFrame(frame);
    target = memory.target = to;
    slider.value = to;
    words();
    if (still || !gd) return put(to);
    const from = shown, start = performance.now();
    const step = (now) => {
      const share = Math.min(1, (now - start) / GLIDE);
      put(from + (to - from) * share * share * (3 - 2 * share));
      if (share < 1) frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
  };
  const tell = () => {
    clearTimeout(rest);
    rest = setTimeout(() => { memory.told.add(target); setTriggerValue("layer", target); }, REST);
  };
  const stop = () => {
    clearInterval(playing);
    playing = 0;
    play.textContent = "\u25B6";
    play.setAttribute("aria-label", "Play through the layers");
  };
  slider.max = layers - 1;
  slider.value = target;
  slider.oninput = () => { stop(); glide(Number(slider.value)); };
  slider.onchange = tell;
  play.onclick = () => {
    if (playing) { stop(); tell(); return; }
    play.textContent = "\u275A\u275A";
    play.setAttribute("aria-label", "Stop");
    glide(target === layers - 1 ? 0 : target + 1);
    playing = setInterval(() => {
      if (target >= layers - 1) { stop(); tell(); } else glide(target + 1);
    }, PAUSE);
  };
  stop();
  words();

  const item = (point) => {
    const found = data.traces.find(([number]) => number === point.curveNumber);
    const one = found ? found[1][point.pointNumber] : undefined;
    return one < items ? one : undefined;
  };
  const onClick = (event) => {
    const one = item(event.points?.[0] ?? {});
    if (one !== undefined) setTriggerValue("pick", one);
  };
  const onSelected = (event) => {
    if (!event?.points) return;                   // a double click takes the lasso away
    const all = event.points.map(item).filter((one) => one !== undefined);
    if (all.length) setTriggerValue("lasso", [...new Set(all)]);
  };
  const release = () => {
    gd?.removeListener?.("plotly_click", onClick);
    gd?.removeListener?.("plotly_selected", onSelected);
  };
  const bind = () => {
    const found = document.querySelector(`.st-key-${CSS.escape(data.chart)} .js-plotly-plot`);
    if (!found?.on || !found._fullLayout) return;
    // A chart that was drawn anew in place stands at the layer it was sent with.
    const anew = found !== gd || (own && found.data[data.traces[0][0]]?.x !== own);
    if (found !== gd) {
      release();
      gd = found;
      gd.on("plotly_click", onClick);
      gd.on("plotly_selected", onSelected);
    }
    if (anew) put(target);
  };
  bind();
  const timer = setInterval(bind, 200);
  parentElement.eidoscopeStop = () => {
    clearInterval(timer);
    clearInterval(playing);
    cancelAnimationFrame(frame);
    release();
  };
  return parentElement.eidoscopeStop;
}
"""

_HTML = """
<div class="bar">
  <button type="button">\u25b6</button>
  <label>Depth <input type="range" min="0" step="1"></label>
  <output></output>
</div>
<div class="note" aria-live="polite"></div>
"""

_CSS = """
.bar { display: flex; align-items: center; gap: 0.75rem; font: 400 0.875rem/1.6 var(--st-font);
  color: var(--st-text-color); }
label { display: flex; flex: 1; align-items: center; gap: 0.75rem; min-width: 8rem; }
input { flex: 1; accent-color: var(--st-primary-color); min-width: 4rem; }
output { min-width: 9.5rem; font-family: var(--st-code-font); font-variant-numeric: tabular-nums; }
button { font: inherit; color: inherit; background: none; border: 1px solid var(--st-border-color);
  border-radius: var(--st-button-radius); width: 2.25rem; height: 2rem; cursor: pointer; }
button:hover, button:focus-visible, input:focus-visible { outline: 2px solid
  var(--st-primary-color); outline-offset: 1px; }
.note { font: 400 0.85rem/1.5 var(--st-font); color: var(--st-text-color); opacity: 0.75;
  min-height: 1.3rem; font-variant-numeric: tabular-nums; }
"""

_slider = st.components.v2.component("eidoscope_cloud", html=_HTML, css=_CSS, js=_JS)


def cloud(
    fig: go.Figure,
    places: np.ndarray,
    moving: Sequence[tuple[int, Sequence[int]]],
    *,
    n_items: int,
    key: str,
    label: str,
    layer: int,
    names: Sequence[str],
    notes: Sequence[str] = (),
    on_layer: Callable[[int], None],
    on_pick: Callable[[int], None] | None = None,
    on_lasso: Callable[[list[int]], None] | None = None,
) -> None:
    """Show `fig` with a slider over depth; its points glide along `places`.

    places    [layer, point, 2 or 3] where every point lies at every layer; the first n_items are
              the items, others what is drawn with them
    moving    (number of a trace of the figure, its points) of all that moves
    layer     where the slider stands; names [layer] and notes [layer] stand beside and below it
    on_layer  told the layer when the slider is let go of; on_pick an item that was clicked;
              on_lasso the items inside a lasso or box (in two dimensions)

    Send the same figure whatever the layer: a changed one is mounted anew and loses the camera.
    """
    key = sides.key(key)
    listener = f"{key}_cloud"
    above = st.container(key=f"{key}_slider")
    st.plotly_chart(
        fig, key=f"{key}_chart", alt=label, theme=None, width="stretch", config=_config(key)
    )
    n_layers, n_points, dims = places.shape

    def lasso(value: Any) -> None:
        if on_lasso is not None:
            on_lasso([int(item) for item in value if 0 <= int(item) < n_items])

    with above:
        _slider(
            key=listener,
            data={
                "chart": f"{key}_chart",
                "places": base64.b64encode(places.astype("<f4").tobytes()).decode(),
                "layers": n_layers,
                "points": n_points,
                "items": n_items,
                "dims": dims,
                "layer": min(max(0, layer), n_layers - 1),
                "traces": [[number, [int(point) for point in of]] for number, of in moving],
                "names": list(names),
                "notes": list(notes),
            },
            on_layer_change=_relay(listener, "layer", lambda value: on_layer(int(value))),
            on_pick_change=_relay(
                listener, "pick", lambda value: on_pick(int(value)) if on_pick else None
            ),
            on_lasso_change=_relay(listener, "lasso", lasso),
        )


def _config(key: str) -> dict[str, Any]:
    """The chart's tool bar."""
    return {
        "displaylogo": False,
        "modeBarButtonsToRemove": ["zoomIn2d", "zoomOut2d", "autoScale2d"],
        "toImageButtonOptions": {"format": "svg", "filename": f"eidoscope-{key}", "scale": 1},
    }


def _relay(listener: str, event: str, act: Callable[[Any], None]) -> Callable[[], None]:
    """A callback that tells what came with an event, if it came."""
    then = sides.bound(act)

    def run() -> None:
        value = sides.told(listener, event)
        if value is not None:
            then(value)

    return run
