"""The continuations side by side: clean, clamped, and the random control.

Text enters the page through `textContent` alone, so nothing a model writes can become markup.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from core.figures.steer import mean_kl, span
from core.figures.theme import RUNS, css_roles
from core.figures.wording import count, number, readable, visible
from core.results.steer import SteerResult
from pages.shared import sides

_JS = r"""
export default function (component) {
  const { data, parentElement } = component;
  const root = parentElement.querySelector(".texts");
  const { columns, limit } = data;
  const add = (parent, kind, name, text = "") => {
    const found = document.createElement(kind);
    found.className = name;
    found.textContent = text;
    parent.append(found);
    return found;
  };
  const digits = (v, sign = false) => (v === null ? "no value"
    : (sign && v > 0 ? "+" : "") + String(Number(v.toPrecision(3))).replace("-", "\u2212"));

  const legend = (parent) => {
    const line = add(parent, "div", "legend");
    add(line, "span", "", "change in log p of the token, changed \u2212 clean");
    const scale = add(line, "span", "scale");
    add(scale, "span", "", `\u2212${digits(limit)}`);
    add(scale, "i", "");
    add(scale, "span", "", `+${digits(limit)} nats`);
  };

  const writing = (column, body) => {           // still being written: one run of text
    add(body, "span", "", column.text);
    if (column.open) add(body, "span", "caret", "\u258f");
  };

  const finished = (column, card, body) => {
    const bars = add(card, "div", data.most_kl ? "bars" : "bars empty");
    bars.setAttribute("aria-hidden", "true");
    bars.title = "KL per token, one scale for all columns";
    const note = add(card, "div", "note");
    const tell = (i, on) => {
      body.children[i + 1].classList.toggle("near", on);
      bars.children[i].classList.toggle("near", on);
      note.textContent = on ? column.lines[i] : column.summary;
    };
    note.textContent = column.summary;
    column.read.forEach((text, i) => {
      const change = column.change[i], kl = column.kl[i];
      // The blank before a word stays outside, so that only the word carries colour.
      const word = text.startsWith(" ") && text.length > 1 ? text.slice(1) : text;
      if (word !== text) body.append(" ");
      const token = add(body, "span", "token", word);
      token.tabIndex = i === 0 ? 0 : -1;
      token.setAttribute("role", "listitem");
      token.setAttribute("aria-label", column.lines[i]);
      const part = change === null ? 0 : Math.min(1, Math.abs(change) / limit) * 50;
      const hue = change < 0 ? "--role-low" : "--role-high";
      if (part >= 1) {
        token.style.background =
          `color-mix(in oklab, var(${hue}) ${part.toFixed(0)}%, transparent)`;
      }
      token.classList.toggle("none", change === null);
      const bar = add(bars, "i", kl === null ? "none" : "");
      const high = data.most_kl ? (kl ?? 0) / data.most_kl * 100 : 0;
      bar.style.height = `max(1px, ${high.toFixed(1)}%)`;
      for (const part of [token, bar]) {
        part.onmouseenter = () => tell(i, true);
        part.onmouseleave = () => tell(i, false);
      }
      token.onfocus = () => tell(i, true);
      token.onblur = () => tell(i, false);
      token.onkeydown = (event) => {
        const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0,
          End: column.read.length - 1 }[event.key];
        const next = body.querySelectorAll(".token")[to];
        if (!next || event.ctrlKey || event.metaKey || event.altKey) return;
        token.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
        event.preventDefault();
      };
    });
  };

  root.replaceChildren();
  root.setAttribute("aria-label", data.label);
  root.classList.toggle("several", columns.length > 1);
  if (data.legend) legend(root);
  const grid = add(root, "div", "grid");
  for (const column of columns) {
    const card = add(grid, "section", "card " + column.role);
    card.setAttribute("aria-label", column.run);
    const head = add(card, "div", "head");
    add(head, "b", "", column.run);
    add(head, "span", "", column.says);
    const body = add(card, "div", "body");
    body.setAttribute("role", "list");
    add(body, "span", "prompt", column.prompt);
    if (column.read) finished(column, card, body);
    else writing(column, body);
  }
}
"""

_CSS = (
    ":host {"
    + css_roles()
    + """ }
.texts { font: 0.95rem/1.5 var(--st-font); color: var(--st-text-color); }
.grid {
  display: grid; gap: 16px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr));
}
.card {
  --own: var(--role-a); min-width: 0; display: flex; flex-direction: column;
  border: 1px solid var(--st-border-color); border-top: 3px solid var(--own);
  border-radius: var(--st-base-radius); padding: 10px 14px 10px;
}
.card.clamped { --own: var(--role-clamped); }
.card.control { --own: var(--role-control); border-top-style: dashed; }
.head { display: flex; flex-wrap: wrap; gap: 2px 8px; align-items: baseline; margin-bottom: 8px; }
.head b { color: var(--own); font-weight: 600; }
.head span {
  color: var(--role-muted); font-size: 0.85rem; overflow-wrap: anywhere;
}
.clamped .head span { font-family: var(--st-code-font); font-size: 0.8rem; }
.body {
  font: 0.9rem/1.75 var(--st-code-font); white-space: pre-wrap; overflow-wrap: anywhere;
  flex: 1; max-height: 26rem; overflow-y: auto; unicode-bidi: plaintext;
}
.several .body { min-height: 8.75em; }
.prompt { color: var(--role-muted); }
.token {
  unicode-bidi: isolate; border-radius: 3px; padding: 0.12em 0;
  -webkit-box-decoration-break: clone; box-decoration-break: clone;
}
.token.none { text-decoration: underline dotted var(--role-muted); }
.token.near { outline: 1.5px solid var(--st-text-color); outline-offset: 0; }
.caret { color: var(--own); }
@media (prefers-reduced-motion: no-preference) {
  .caret { animation: blink 1s steps(2) infinite; }
  @keyframes blink { 50% { opacity: 0; } }
}
.bars {
  display: flex; align-items: flex-end; height: 36px; margin-top: 10px;
  border-bottom: 1px solid var(--st-border-color);
}
.bars i {
  flex: 1 1 0; min-width: 0; background: var(--own);
  box-shadow: inset 1px 0 0 var(--st-background-color);
}
.empty { display: none; }
.bars i.none { background: none; }
.bars i.near { background: var(--st-text-color); }
.note {
  margin-top: 6px; min-height: 3em; font-size: 0.8rem; line-height: 1.5; color: var(--role-muted);
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere; unicode-bidi: plaintext;
}
.legend {
  display: flex; flex-wrap: wrap; gap: 2px 10px; justify-content: flex-end;
  font-size: 0.8rem; color: var(--role-muted); margin-bottom: 6px;
}
.scale { display: inline-flex; gap: 6px; align-items: center; font-variant-numeric: tabular-nums; }
.scale i {
  width: 96px; height: 10px; border-radius: 2px; border: 1px solid var(--st-border-color);
  background: linear-gradient(to right in oklab,
    color-mix(in oklab, var(--role-low) 50%, transparent), transparent,
    color-mix(in oklab, var(--role-high) 50%, transparent));
}
"""
)

_texts = st.components.v2.component(
    "eidoscope_texts", html="<div class='texts' role='group'></div>", css=_CSS, js=_JS
)

_ENDS = {
    "length": "stopped at the length asked for",
    "end token": "ended by itself",
    "context": "reached the end of the context",
}


def three_texts(result: SteerResult, *, key: str) -> None:
    """The texts of all runs as columns; they stack in a narrow window.

    Each token's background is its change in log-probability in nats, one scale for all runs;
    pointing at it or arriving by the arrow keys says both log-probabilities and the KL. The
    bars below are the KL per token. A missing number is shown as none, never as 0.
    """
    change = result.logprob_changed - result.logprob_clean
    finite = result.kl[np.isfinite(result.kl)]
    columns = [_column(result, run, change[run]) for run in range(len(result.runs))]
    data = {
        "label": "Continuations: " + ", ".join(result.runs),
        "columns": columns,
        "limit": span(change),
        "legend": len(columns) > 1,
        "most_kl": float(finite.max()) if finite.size else 0.0,
    }
    _texts(key=sides.key(key), data=data)


def streaming_texts(
    partial: Sequence[tuple[str, str]],
    *,
    key: str,
    sites: Sequence[str] = (),
    prompt: Sequence[str] = (),
) -> None:
    """Texts while they are written: (run name, text so far), columns as in `three_texts`."""
    columns = [
        {
            "run": run,
            "role": _role(run),
            "says": _says(run, sites) if run != "clean" else "",
            "prompt": _prose(prompt),
            "text": readable(text) if text else "",
            "open": True,
        }
        for run, text in partial
    ]
    _texts(
        key=sides.key(key),
        data={"label": "Writing", "columns": columns, "limit": 1.0, "legend": False},
    )


def _column(result: SteerResult, run: int, change: np.ndarray) -> dict[str, Any]:
    name, pieces = result.runs[run], result.pieces[run]
    n = len(pieces)
    return {
        "run": name,
        "role": _role(name),
        "says": _says(name, result.sites) if len(result.runs) > 1 else "",
        "prompt": _prose(result.prompt),
        "read": [readable(piece) for piece in pieces],
        "change": _plain(change[:n]),
        "kl": _plain(result.kl[run, :n]),
        "lines": [_line(result, run, t) for t in range(n)],
        "summary": _summary(result, run),
    }


def _line(result: SteerResult, run: int, t: int) -> str:
    before, after = result.logprob_clean[run, t], result.logprob_changed[run, t]
    piece = f"“{visible(result.pieces[run][t], 24)}”"
    if len(result.runs) == 1:
        return f"{piece} log p {number(before)} nats"
    model = "control" if result.runs[run] == "control" else "clamped"
    return (
        f"{piece} log p clean {number(before)}, {model} {number(after)}: "
        f"{number(after - before, sign=True)} nats · KL {number(result.kl[run, t])} nats"
    )


def _summary(result: SteerResult, run: int) -> str:
    length = count(len(result.pieces[run]), "token")
    end = _ENDS.get(result.stopped[run], result.stopped[run])
    if len(result.runs) == 1:
        return f"{length}, {end}"
    kl = number(mean_kl(result)[result.runs[run]])
    return f"KL {kl} nats per token · {length}, {end}"


def _says(run: str, sites: Sequence[str]) -> str:
    said = {
        "clean": "scored with the clamps on",
        "clamped": f"[{', '.join(sites)}]" if sites else "",
        "control": "random, equal norm",
    }
    return said.get(run, "")


def _role(run: str) -> str:
    return run if run in RUNS else "clean"


def _prose(pieces: Sequence[str]) -> str:
    return "".join(readable(piece) for piece in pieces)


def _plain(numbers: np.ndarray) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in numbers]
