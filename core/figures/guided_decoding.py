"""Guided decoding: how much of a concept the text reads as, step by step, beside random guides."""

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import Look, colour, drawn, faint
from core.figures.wording import count, escaped, number, token, visible
from core.results.guided_decoding import GuidedDecoding
from core.spec.errors import Error

VIEWS = ("steps", "trade-off")
HEIGHT = 380
ROLES = ("b", "c", "a", "clamped")


def figure(result: GuidedDecoding, look: Look, *, view: str = "steps") -> go.Figure:
    """Grey: texts guided by random concepts, read with this one.

    view  "steps": the probe per new token, after every token; "trade-off": the probe at the end
          against how surprising the text is to the model
    """
    if view == "steps":
        return _steps(result, look)
    if view == "trade-off":
        return _trade_off(result, look)
    raise Error(f"guided texts can be seen as {', '.join(VIEWS)}, not {str(view)[:20]!r}")


def title(result: GuidedDecoding) -> str:
    """The probe at the end of every text, in words."""
    final, own = result.final, _own(result)
    said = ", ".join(f"k = {result.k[at]}: {number(final[at])}" for at in own)
    chance = final[~np.isin(np.arange(len(final)), own)]
    known = chance[np.isfinite(chance)]
    beside = f" (random guides {number(known.mean())})" if len(known) else ""
    return f"{_concept(result)} per new token: {said}{beside}"


def caption(result: GuidedDecoding) -> str:
    """What was read, the control and the sample, in words."""
    left = f", {count(len(result.dropped), 'word')} dropped" if result.dropped else ""
    surprise = ", ".join(f"k = {result.k[at]} {number(result.surprise[at])}" for at in _own(result))
    return (
        f"“{visible(result.prompt, 60).replace('·', ' ')}”; frame of "
        f"{count(len(result.words), 'word')}{left}; states read {result.read}; nats a token: "
        f"{surprise}; control: {count(len(result.k) - len(_own(result)), 'random concept')} of as "
        f"many words guiding with k = {result.k.max()}, read with this concept; one text each, so "
        f"a demonstration and no measurement; seed {result.seed}"
    )


def _concept(result: GuidedDecoding) -> str:
    name = visible(result.concept, 40).replace("·", " ")
    other = visible(result.other, 40).replace("·", " ") if result.other else ""
    return f"{name} minus {other}" if other else name


def _own(result: GuidedDecoding) -> list[int]:
    return [at for at, name in enumerate(result.guides) if name == "concept"]


def _label(result: GuidedDecoding, at: int) -> str:
    if result.guides[at] != "concept":
        return "random guides"
    return "greedy (k = 1)" if result.k[at] == 1 else f"k = {result.k[at]}"


def _steps(result: GuidedDecoding, look: Look) -> go.Figure:
    traces = []
    own = _own(result)
    steps = np.arange(1, result.probe.shape[1] + 1)
    random = [at for at in range(len(result.k)) if at not in own]
    for at in [*random, *own]:
        is_own = at in own
        shade = (
            colour(ROLES[own.index(at) % len(ROLES)], look)
            if is_own
            else faint("control", look, 0.7)
        )
        pieces = [token(piece, 20) for piece in result.tokens[at]]
        hover = pieces + [""] * (len(steps) - len(pieces))
        traces.append(
            go.Scatter(
                x=steps,
                y=result.probe[at].astype(float),
                mode="lines+markers" if is_own else "lines",
                name=_label(result, at),
                showlegend=is_own or at == random[0],
                line={"color": shade, "width": 2 if is_own else 1.5,
                      "dash": "solid" if is_own else "dot"},
                marker={"size": 5, "color": shade},
                hovertext=hover,
                hovertemplate="<b>%{hovertext}</b><br>token %{x}: %{y:.3~g}"
                f"<extra>{escaped(_label(result, at))}</extra>",
            )
        )  # fmt: skip
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 92, "b": 52, "r": 16},
        xaxis={"title": {"text": "new tokens"}},
        yaxis={"title": {"text": "probe per new token (sum of correlations)"}, "zeroline": True},
    )


def _trade_off(result: GuidedDecoding, look: Look) -> go.Figure:
    own = _own(result)
    traces = []
    for at in range(len(result.k)):
        is_own = at in own
        role = ROLES[own.index(at) % len(ROLES)] if is_own else "control"
        text = escaped(visible(result.texts[at], 160).replace("·", " "))
        traces.append(
            go.Scatter(
                x=[float(result.surprise[at])],
                y=[float(result.final[at])],
                mode="markers",
                name=_label(result, at),
                showlegend=is_own or at == len(own),
                marker={"color": colour(role, look), "size": 10,
                        "symbol": "circle" if is_own else "x-thin-open"},
                hovertext=[text],
                hovertemplate="%{hovertext}<br>%{x:.3~g} nats a token, probe %{y:.3~g}"
                "<extra></extra>",
            )
        )  # fmt: skip
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 92, "b": 52, "r": 16},
        xaxis={"title": {"text": "surprise of the text (nats a token)"}, "rangemode": "tozero"},
        yaxis={"title": {"text": "probe per new token"}, "zeroline": True},
    )
