"""A wall of feature cards that scrolls through tens of thousands: only what is in view is drawn.

The browser knows how many cards there are and holds a window of them; where the window ends it
draws empty cards and asks for the next one. Token text enters the page through `textContent`
alone, so no token can become markup.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.figures.theme import css_roles
from core.figures.wording import readable, visible
from pages.shared import sides

WINDOW = 96  # cards sent at once
STEP = 24  # windows begin at multiples of this


@dataclass(frozen=True, slots=True)
class Card:
    """One feature on the wall; everything is plain text."""

    feature: int
    label: str  # "" where no rule was found
    score: str  # "F1 0.91", with what it stands against
    density: str  # "0.54 %"
    lines: tuple[tuple[tuple[str, ...], int], ...]  # (tokens, the hot one), strongest first
    writes: tuple[str, ...]  # tokens it promotes, strongest first
    bars: tuple[float, ...]  # its activations as a histogram, heights 0 to 1
    badges: tuple[str, ...] = ()
    title: str = ""  # said while it is pointed at


_JS = r"""
const HEIGHT = 150, GAP = 10, LEAST = 236;
export default function (component) {
  const { data, setTriggerValue, parentElement } = component;
  const view = parentElement.querySelector(".view"), room = parentElement.querySelector(".room");
  const part = (parent, kind, name, text) => {
    const found = document.createElement(kind);
    found.className = name;
    if (text !== undefined) found.textContent = text;
    parent.append(found);
    return found;
  };
  view.setAttribute("aria-label", data.label);
  const columns = () => Math.max(1, Math.floor((view.clientWidth + GAP) / (LEAST + GAP)));
  const fill = (item, card) => {
    item.title = card.title;
    const head = part(item, "span", "head");
    part(head, "b", "", String(card.feature));
    part(head, "span", card.label ? "label" : "label none", card.label || "no rule found");
    const line = part(item, "span", "line");
    part(line, "span", "", card.density);
    part(line, "span", "score", card.score);
    for (const badge of card.badges) part(line, "span", "badge", badge);
    const lines = part(item, "span", "lines");
    for (const [tokens, peak] of card.lines) {
      const text = part(lines, "span", "text");
      tokens.forEach((token, at) => part(text, "span", at === peak ? "peak" : "", token));
    }
    const foot = part(item, "span", "foot");
    const bars = part(foot, "span", "bars");
    for (const height of card.bars) {
      part(bars, "i", "").style.height = `${Math.max(4, 100 * height).toFixed(0)}%`;
    }
    const chips = part(foot, "span", "chips");
    for (const token of card.writes) part(chips, "span", "chip", token);
  };
  let drawn = "";
  const draw = () => {
    const across = columns(), rows = Math.ceil(data.total / across), pitch = HEIGHT + GAP;
    room.style.height = `${Math.max(0, rows * pitch - GAP)}px`;
    const top = Math.max(0, Math.floor(view.scrollTop / pitch) - 1);
    const shown = Math.ceil(view.clientHeight / pitch) + 3;
    const from = top * across, to = Math.min(data.total, (top + shown) * across);
    const now = `${across}:${from}:${to}`;
    if (now !== drawn) {
      drawn = now;
      const focused = parentElement.querySelector("button:focus")?.dataset.at;
      room.replaceChildren();
      for (let at = from; at < to; at++) {
        const card = data.cards[at - data.first];
        const item = part(room, "button", card ? "card" : "card empty");
        item.type = "button";
        item.dataset.at = at;
        item.style.top = `${Math.floor(at / across) * pitch}px`;
        item.style.left = `calc(${at % across} * (100% + ${GAP}px) / ${across})`;
        item.style.width = `calc((100% - ${(across - 1) * GAP}px) / ${across})`;
        item.setAttribute("role", "option");
        item.setAttribute("aria-selected", !!card && card.feature === data.picked);
        item.tabIndex = at === from ? 0 : -1;
        if (card) fill(item, card);
        if (String(at) === focused) item.focus({ preventScroll: true });
      }
    }
    const end = data.first + data.cards.length;
    if ((from < data.first || to > end) && to > from) ask(from, to);
  };
  const ask = (from, to) => {
    clearTimeout(view.asking);
    view.asking = setTimeout(() => {
      const middle = (from + to - data.window) / 2;
      const first = Math.max(0, Math.floor(middle / data.step) * data.step);
      if (first !== view.asked || first !== data.first) setTriggerValue("first", first);
      view.asked = first;
    }, 80);
  };
  if (view.list !== data.list) {                       // another search or order: from its start
    if (view.list !== undefined) view.scrollTop = 0;
    view.list = data.list;
  }
  const button = (event) => event.target.closest?.("button.card:not(.empty)");
  const send = (found) => {
    setTriggerValue("pick", data.cards[found.dataset.at - data.first].feature);
  };
  view.onscroll = draw;
  room.onclick = (event) => { const found = button(event); if (found) send(found); };
  room.onkeydown = (event) => {
    const found = event.target.closest?.("button.card");
    if (!found) return;
    const across = columns(), at = Number(found.dataset.at);
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across }[event.key];
    if (event.key === "k" && !found.classList.contains("empty")) {
      setTriggerValue("clamp", data.cards[at - data.first]?.feature);
    } else if (step && at + step >= 0 && at + step < data.total) {
      const next = at + step, top = Math.floor(next / across) * (HEIGHT + GAP);
      if (top < view.scrollTop) view.scrollTop = top;
      else if (top + HEIGHT > view.scrollTop + view.clientHeight) {
        view.scrollTop = top + HEIGHT - view.clientHeight;
      }
      draw();
      room.querySelector(`[data-at="${next}"]`)?.focus({ preventScroll: true });
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  if (view.watch) view.watch.disconnect();
  view.watch = new ResizeObserver(draw);
  view.watch.observe(view);
  draw();
}
"""

_CSS = (
    ":host {"
    + css_roles()
    + """ }
.view { height: 760px; overflow-y: auto; container-type: inline-size; scrollbar-gutter: stable; }
.room { position: relative; }
.card {
  position: absolute; height: 150px; box-sizing: border-box; padding: 8px 10px; margin: 0;
  display: flex; flex-direction: column; gap: 4px; text-align: left; overflow: hidden;
  border: 1px solid var(--st-border-color); border-radius: 8px; cursor: pointer;
  background: var(--st-background-color); color: var(--st-text-color); font: inherit;
}
.card.empty { background: var(--st-secondary-background-color); cursor: default; opacity: 0.6; }
.card:not(.empty):hover { border-color: var(--role-muted); }
.card:focus-visible { outline: 2px solid var(--st-text-color); outline-offset: -2px; }
.card[aria-selected=true] { outline: 2px solid var(--st-primary-color); outline-offset: -2px; }
.head { display: flex; gap: 8px; align-items: baseline; font: 0.85rem/1.35 var(--st-font); }
.head b { font: 600 0.8rem/1.35 var(--st-code-font); color: var(--role-muted); }
.label { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.none { color: var(--role-muted); font-style: italic; }
.line {
  display: flex; gap: 8px; font: 0.72rem/1.4 var(--st-font); color: var(--role-muted);
  white-space: nowrap; overflow: hidden;
}
.score { overflow: hidden; text-overflow: ellipsis; }
.badge, .line > :first-child { flex: none; }
.badge { border: 1px solid var(--st-border-color); border-radius: 8px; padding: 0 6px; }
.lines { flex: 1; overflow: hidden; }
.text {
  display: block; font: 0.8rem/1.6 var(--st-code-font); white-space: pre; overflow: hidden;
  text-overflow: ellipsis;
}
.text span { border-radius: 3px; unicode-bidi: isolate; }
.text .peak { background: color-mix(in oklab, var(--role-high) 45%, transparent); }
.foot { display: flex; gap: 8px; align-items: end; height: 24px; }
.bars { display: flex; align-items: end; gap: 1px; width: 54px; height: 22px; flex: none; }
.bars i { flex: 1; background: var(--role-high); opacity: 0.75; min-width: 1px; }
.chips { display: flex; gap: 3px; overflow: hidden; flex: 1; }
.chip {
  font: 0.72rem/1.4 var(--st-code-font); white-space: pre; padding: 0 4px; border-radius: 4px;
  background: color-mix(in oklab, var(--st-text-color) 8%, transparent); unicode-bidi: isolate;
  flex: none;
}
"""
)

_wall = st.components.v2.component(
    "eidoscope_wall",
    html="<div class='view' role='listbox'><div class='room'></div></div>",
    css=_CSS,
    js=_JS,
)


def wall(
    cards: Sequence[Card],
    *,
    total: int,
    first: int,
    key: str,
    label: str,
    listed: str,
    picked: int | None,
    on_pick: Callable[[int], None],
    on_clamp: Callable[[int], None],
    on_first: Callable[[int], None],
) -> None:
    """Cards number `first` and on out of `total`; the rest is asked for as it is scrolled to.

    listed    what is listed, in any words: a change of it begins at the top again
    on_pick   feature clicked; on_clamp: `k` on it; on_first: a window that begins there is wanted
    """
    features = {card.feature for card in cards}
    key = sides.key(key)

    def relay(event: str, act: Callable[[int], None], known: bool) -> Callable[[], None]:
        then = sides.bound(act)

        def run() -> None:
            number = sides.told(key, event)
            if number is None:
                return
            if int(number) in features if known else 0 <= int(number) < max(1, total):
                then(int(number))

        return run

    _wall(
        key=key,
        data={
            "label": label,
            "list": listed,
            "total": total,
            "first": first,
            "window": WINDOW,
            "step": STEP,
            "picked": picked,
            "cards": [_card(card) for card in cards],
        },
        on_pick_change=relay("pick", on_pick, True),
        on_clamp_change=relay("clamp", on_clamp, True),
        on_first_change=relay("first", on_first, False),
    )


def _card(card: Card) -> dict[str, Any]:
    return {
        "feature": card.feature,
        "label": readable(card.label) if card.label else "",
        "score": card.score,
        "density": card.density,
        "lines": [[[_spaced(piece) for piece in tokens], peak] for tokens, peak in card.lines],
        "writes": [visible(piece, 12) for piece in card.writes],
        "bars": [round(float(height), 3) for height in card.bars],
        "badges": list(card.badges),
        "title": card.title,
    }


def _spaced(piece: str) -> str:
    """A token inside running text: leading blanks stay blanks, hidden signs become visible."""
    body = piece.lstrip(" ")
    return " " * (len(piece) - len(body)) + (visible(body) if body else "")
