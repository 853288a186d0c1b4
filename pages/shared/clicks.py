"""Clicks and keys on any Plotly chart, told to the page.

The chart is Streamlit's own; a small part beside it listens to its Plotly events and draws
the ring in the browser, so that the figure sent by Python stays the same. (A changed figure
is mounted anew and loses zoom and pan.) It leans on three internals of Streamlit's chart:
the class `js-plotly-plot`, `gd.on` and `window.Plotly`. They are used here and nowhere else;
a browser test guards them.

Clicks arrive as trigger values: a state value would miss a second click on the same cell
after another control had moved the choice away.
"""

from collections.abc import Callable, Sequence

import plotly.graph_objects as go
import streamlit as st

from pages.shared import scales, sides

_JS = r"""
const STEPS = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const OWN = new Set(["picked", "cursor"]);
const LEAST_TYPE = 7;                             // pixels; smaller text in cells is hidden

export default function (component) {
  const { data, setTriggerValue, parentElement } = component;
  // Called again with every change of data, the clean-up only at the very end: so each call
  // ends the one before, or its listeners and its ring would live on.
  parentElement.eidoscopeStop?.();
  const live = parentElement.querySelector("[aria-live]");
  let gd = null;
  let cursor = data.picked;                       // [y, x] in the units of the axes

  // Heat maps of the figure with the integer rectangle each of them covers.
  const maps = () => gd._fullData.filter((t) => t.type === "heatmap").map((t) => ({
    z: t.z, text: t.hovertext, xref: t.xaxis, yref: t.yaxis,
    left: t.x[0], bottom: t.y[0],
    right: t.x[0] + t.z[0].length - 1, top: t.y[0] + t.z.length - 1,
  }));
  const within = (m, [y, x]) => y >= m.bottom && y <= m.top && x >= m.left && x <= m.right;

  // Half the ring's width in cells: the ring stays inside, where the plot's edge cannot cut it.
  const inset = (ref) => {
    const axis = gd._fullLayout[ref[0] + "axis" + ref.slice(1)];
    return Math.min(0.4, 2.5 * Math.abs(axis.range[1] - axis.range[0]) / axis._length);
  };
  // White on black, so that the ring shows on a cell of any colour; in every map that has
  // the cell, so that an effect and its control are ringed together.
  const outline = (cell, name, dash) => !cell ? [] : maps().filter((m) => within(m, cell))
    .flatMap((m) => {
      const dx = 0.5 - inset(m.xref), dy = 0.5 - inset(m.yref);
      return [["#000", 5, "solid"], ["#fff", 2, dash]].map(([color, width, style]) => ({
        name, type: "rect", layer: "above", xref: m.xref, yref: m.yref,
        x0: cell[1] - dx, x1: cell[1] + dx, y0: cell[0] - dy, y1: cell[0] + dy,
        line: { width, color, dash: style },
      }));
    });
  const draw = (picked, moving) => {
    const others = (gd.layout.shapes ?? []).filter((s) => !OWN.has(s.name));
    const rings = [...outline(picked, "picked", "solid"), ...outline(moving, "cursor", "dot")];
    if (rings.length || others.length !== (gd.layout.shapes ?? []).length) {
      window.Plotly.relayout(gd, { shapes: [...others, ...rings] });
    }
  };
  // A chart that is drawn anew in place comes without the ring.
  const restore = () => {
    const ringed = (gd.layout.shapes ?? []).some((s) => OWN.has(s.name));
    if (data.picks && data.grid && !ringed) draw(data.picked, null);
  };
  const tidy = () => {
    for (const text of gd.querySelectorAll(".heatmap-label text")) {
      text.style.visibility = parseFloat(text.style.fontSize) < LEAST_TYPE ? "hidden" : "";
    }
  };
  const say = ([y, x]) => {
    const map = maps().find((m) => within(m, [y, x]));
    const line = map?.text?.[y - map.bottom]?.[x - map.left];
    live.textContent = line
      ? new DOMParser().parseFromString(line.replaceAll("<br>", ", "), "text/html").body.textContent
      : `row ${y}, column ${x}`;
  };
  const pick = (cell) => {
    cursor = cell;
    if (data.grid) draw(cell, null);
    setTriggerValue("pick", cell);
  };
  const onClick = (event) => {
    const point = event.points?.[0];
    if (!point) return;
    // Plotly keeps a click from taking the focus: keys would still go to the field used before.
    document.activeElement?.blur?.();
    if (data.grid) gd.focus({ preventScroll: true });
    if (data.grid) pick([Math.round(point.y), Math.round(point.x)]);
    else pick([point.pointIndex ?? point.pointNumber, point.curveNumber ?? 0]);
  };
  const onKey = (event) => {
    const step = STEPS[event.key];
    if (step) {
      const all = maps();
      const low = [Math.min(...all.map((m) => m.bottom)), Math.min(...all.map((m) => m.left))];
      const high = [Math.max(...all.map((m) => m.top)), Math.max(...all.map((m) => m.right))];
      const [start, end] = gd._fullLayout.yaxis.range;
      const upward = start > end ? -1 : 1;
      const [y, x] = cursor ?? [all[0].bottom, all[0].left];
      cursor = [
        Math.max(low[0], Math.min(high[0], y + upward * step[0])),
        Math.max(low[1], Math.min(high[1], x + step[1])),
      ];
      draw(data.picked, cursor);
      say(cursor);
    } else if (event.key === "Enter" && cursor) {
      pick(cursor);
    } else if (event.key === "Escape") {
      cursor = data.picked;
      draw(data.picked, null);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  const release = () => {
    gd?.removeListener?.("plotly_click", onClick);
    gd?.removeListener?.("plotly_afterplot", tidy);
    gd?.removeEventListener("keydown", onKey);
  };
  const bind = () => {
    const found = document.querySelector(`.st-key-${CSS.escape(data.chart)} .js-plotly-plot`);
    if (!found?.on || !found._fullLayout) return;
    if (found === gd) return restore();
    release();
    gd = found;
    gd.on("plotly_afterplot", tidy);
    tidy();
    if (!data.picks) return;
    gd.on("plotly_click", onClick);
    if (!data.grid) return;
    gd.tabIndex = 0;
    gd.setAttribute("role", "application");
    gd.setAttribute("aria-label", data.label + ". Arrow keys move, Enter chooses.");
    gd.addEventListener("keydown", onKey);
    draw(data.picked, null);
  };
  bind();
  const timer = setInterval(bind, 200);  // the chart mounts later, and again when it changes
  parentElement.eidoscopeStop = () => { clearInterval(timer); release(); };
  return parentElement.eidoscopeStop;
}
"""

# An inline part needs a line break, or it is taken for the name of a file.
_CSS = """
[aria-live] {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
}
"""

_listener = st.components.v2.component(
    "eidoscope_chart_pick", html="<div aria-live='polite'></div>", css=_CSS, js=_JS
)


def pickable_chart(
    fig: go.Figure,
    *,
    key: str,
    label: str,
    on_pick: Callable[[Sequence[int]], None] | None,
    picked: Sequence[int] | None = None,
    grid: bool = True,
) -> None:
    """Show `fig`; call `on_pick` when a point is chosen by click, or by arrow keys and Enter.

    grid=True   the figure holds heat maps on integer axes: `on_pick([y, x])` and `picked`
                are these integers (layer, token) or (layer, head); y = -1 is the embedding
                row of the lens. `picked` gets a ring.
    grid=False  `on_pick([index, trace])`, the number of the point in its trace, and the trace's.

    `on_pick` runs as a callback, before the script runs again. None: nothing can be chosen.
    The camera of the chart's tool bar saves an SVG named after `key`.
    """
    key = sides.key(key)
    listener = f"{key}_pick"
    told = None if on_pick is None else sides.bound(on_pick)
    fig = scales.shared(fig, key)
    st.plotly_chart(
        fig,
        key=key,
        alt=label,
        theme=None,  # the figure brings the house's own fonts and colours
        width="stretch" if fig.layout.width is None else "content",
        config={
            "displaylogo": False,
            "modeBarButtonsToRemove": ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d"],
            "toImageButtonOptions": {"format": "svg", "filename": f"eidoscope-{key}", "scale": 1},
        },
    )

    def relay() -> None:
        cell = sides.told(listener, "pick")
        if cell is not None and told is not None:
            told([int(i) for i in cell])

    _listener(
        key=listener,
        data={
            "chart": key,
            "label": label,
            "picks": on_pick is not None,
            "grid": grid,
            "picked": None if picked is None else [int(i) for i in picked],
        },
        on_pick_change=relay,
    )


# The figure on the page carries no title (the page wraps it); the file gets it back.
_SVG_JS = r"""
const LINE = 20, CHARACTER = 7;                   // pixels of a title line and of its letters

export default function (component) {
  const { data, parentElement } = component;
  parentElement.querySelector("button").onclick = () => {
    const gd = document.querySelector(`.st-key-${CSS.escape(data.chart)} .js-plotly-plot`);
    if (!gd) return;
    const width = gd.offsetWidth, most = Math.floor(width / CHARACTER);
    const lines = [""];
    for (const word of data.title.split(" ")) {
      const last = lines.length - 1;
      if ((lines[last] + word).length > most && lines[last]) lines.push(word);
      else lines[last] += (lines[last] ? " " : "") + word;
    }
    const room = 12 + LINE * lines.length, height = gd.offsetHeight + room;
    const margin = { ...gd.layout.margin, t: (gd.layout.margin?.t ?? 0) + room };
    const title = {
      text: lines.join("<br>"), x: 0, xref: "container", xanchor: "left", y: 1,
      yref: "container", yanchor: "top", pad: { t: 8, l: 4 }, font: { size: 14 },
    };
    const layout = { ...gd.layout, width, height, margin, title };
    window.Plotly.downloadImage(
      { data: gd.data, layout }, { format: "svg", filename: data.name, width, height });
  };
}
"""

_SVG_CSS = """
button {
  font: 400 0.875rem/1.6 var(--st-font); color: var(--st-text-color); cursor: pointer;
  background: none; border: 1px solid var(--st-border-color);
  border-radius: var(--st-button-radius); padding: 0.25rem 0.75rem; min-height: 2.5rem;
}
button:hover, button:focus-visible {
  color: var(--st-primary-color); border-color: var(--st-primary-color); outline: none;
}
"""

_svg = st.components.v2.component(
    "eidoscope_svg", html="<button type='button'>SVG</button>", css=_SVG_CSS, js=_SVG_JS
)


def svg_button(chart: str, *, name: str, title: str, key: str) -> None:
    """A button that saves the figure with the key `chart` as an SVG, made in the browser.

    `title` is escaped by `core.figures.wording.escaped`; `name` is the file's, without ending.
    """
    _svg(key=key, data={"chart": chart, "name": name, "title": title}, width="content")
