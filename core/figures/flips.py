"""Where two models part: the flips, their words, the layers and the components that turn them."""

import numpy as np
import plotly.graph_objects as go

from core.figures import grid, lines
from core.figures.theme import (
    BOTTOM,
    TOP,
    Look,
    colour,
    colour_bar,
    drawn,
    faint,
    signed,
)
from core.figures.wording import count, escaped, number, quoted
from core.results.flips import Flips
from core.spec.errors import Error

VIEWS = ("flips", "components", "layers", "lens", "words", "kl")
MOST_COMPONENTS = 16
_ROLES = ("a", "b", "c", "clamped", "warning")
_DASHES = ("solid", "dash", "dot", "dashdot")


def figure(result: Flips, look: Look, *, view: str = "flips", flip: int | None = None) -> go.Figure:
    """One view of where the models part, its control beside it.

    view  "flips": the listed ones, how sure each model is; "components": which part of the other
          model turns which flip; "layers": the stream put in layer by layer; "lens": what each
          layer of both would say (of one `flip`); "words": whose texts differ most; "kl": all
    """
    if view == "lens":
        return _lens(result, look, 0 if flip is None else flip)
    views = {"flips": _flips, "components": _components, "layers": _layers, "words": _words,
             "kl": _kl}  # fmt: skip
    if view not in views:
        raise Error(f"flips are seen as {', '.join(VIEWS)}, not {str(view)[:20]!r}")
    return views[view](result, look)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else "… " + text[2 - most :]


def _share(value: float) -> str:
    """A percentage without a minus in front of nought."""
    return f"{round(100 * float(value)) + 0:d}%"


def _hover(result: Flips, flip: int) -> str:
    one, two = (escaped(name[:30]) for name in result.models)
    said = []
    for name, says, p in (
        (one, result.says_here[flip], result.p_here[flip]),
        (two, result.says_there[flip], result.p_there[flip]),
    ):
        words = ", ".join(
            f"{escaped(quoted(word))} {value:.0%}" for word, value in zip(says, p, strict=True)
        )
        said.append(f"{name}: {words}")
    return (
        f"“{escaped(_short(result.texts[flip], 90))}”<br>{said[0]}<br>{said[1]}<br>"
        f"KL {number(result.listed_kl[flip])} nats"
    )


def _flips(result: Flips, look: Look) -> go.Figure:
    """Probability of the two tokens in both models."""
    y = np.arange(len(result.texts))
    names = [
        f"{_short(result.texts[i], 34)} {quoted(result.away[i])} → {quoted(result.toward[i])}"
        for i in y
    ]
    hover = [_hover(result, int(i)) for i in y]
    traces = []
    for what, values, symbol in (
        ("right", result.p_toward, "circle"),
        ("left", result.p_away, "circle-open"),
    ):
        for side, role in enumerate(("a", "b")):
            model = escaped(result.models[side][:24])
            traces.append(
                go.Scatter(
                    x=values[:, side], y=y, mode="markers", name=f"{model}: token on the {what}",
                    marker={"size": 10, "color": colour(role, look), "symbol": symbol},
                    hovertext=hover, hovertemplate="%{hovertext}<extra></extra>",
                )
            )  # fmt: skip
    return drawn(
        traces,
        look,
        title=title(result),
        height=TOP + 80 + BOTTOM + 26 * len(y),
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 116},
        xaxis={"title": {"text": "probability of the next token"}, "range": [-0.03, 1.03]},
        yaxis=lines.rows_axis(names),
    )


def _exchangeable(result: Flips) -> None:
    if not result.effect.size:
        raise Error(f"components are not exchanged: {result.why_no_parts}; see the lens instead")


def _components(result: Flips, look: Look) -> go.Figure:
    _exchangeable(result)
    kept = result.responsible[:MOST_COMPONENTS]
    values = result.effect[:, kept].T
    control = result.control_effect[:, kept].transpose(1, 0, 2)
    sure = values > control.max(axis=2)
    hover = [
        [
            f"<b>{escaped(result.components[at])}</b> of {escaped(result.models[1][:30])} put in"
            f"<br>“{escaped(_short(result.texts[flip], 60))}”<br>"
            f"{escaped(quoted(result.away[flip]))} → {escaped(quoted(result.toward[flip]))}: makes "
            "up for "
            f"{values[row, flip]:.0%} of the difference<br>as far at random: "
            f"{', '.join(f'{value:.0%}' for value in control[row, flip])}"
            for flip in range(values.shape[1])
        ]
        for row, at in enumerate(kept)
    ]
    shown = [
        [_share(v) if s else f"({_share(v)})" for v, s in zip(line, beyond, strict=True)]
        for line, beyond in zip(values, sure, strict=True)
    ]
    cells = grid.cells(
        values.astype("float32"),
        scale=signed(look),
        limits=(-1.0, 1.0),
        hover=np.array(hover, dtype=object),
        text=np.array(shown, dtype=object) if values.shape[1] <= 12 else None,
        bar=colour_bar("share of the difference", look),
    )
    names = [
        f"{escaped(quoted(a, most=9))}→{escaped(quoted(b, most=9))}"
        for a, b in zip(result.away, result.toward, strict=True)
    ]
    return drawn(
        [cells],
        look,
        title=_turner(result),
        height=TOP + grid.rows_height(len(kept)) + BOTTOM + 70,
        margin={"b": BOTTOM + 60},
        xaxis={"title": {"text": "flip"}, "tickmode": "array",
               "tickvals": list(range(len(names))), "ticktext": names, "tickangle": -35},
        yaxis={"tickmode": "array", "tickvals": list(range(len(kept))),
               "ticktext": [escaped(result.components[at]) for at in kept],
               "autorange": "reversed"},
    )  # fmt: skip


def _turner(result: Flips) -> str:
    best = int(result.responsible[0])
    return (
        f"{result.components[best]} of {result.models[1]} alone makes up for "
        f"{result.effect[:, best].mean():.0%} of the difference "
        f"(as far at random {result.control_effect[:, best].mean():.0%})"
    )


def _layers(result: Flips, look: Look) -> go.Figure:
    _exchangeable(result)
    x = np.arange(result.layer_effect.shape[1])
    traces = [
        lines.curve(
            x, values, look, role=_ROLES[i % 5], dash=_DASHES[(i // 5) % 4],
            name=f"{quoted(result.away[i])}→{quoted(result.toward[i])}",
        )
        for i, values in enumerate(result.layer_effect)
    ]  # fmt: skip
    axis = grid.number_axis(len(x), "the other model's stream put in behind")
    axis["ticktext"] = ["emb" if at == 0 else f"L{at - 1}" for at in axis["tickvals"]]
    return drawn(
        traces,
        look,
        title="From which layer on the other model's state decides",
        height=380,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 110},
        xaxis=axis,
        yaxis={"title": {"text": "share of the difference"},
               "range": [min(-0.1, float(np.nanmin(result.layer_effect)) - 0.05), 1.1]},
    )  # fmt: skip


def _lens(result: Flips, look: Look, flip: int) -> go.Figure:
    if not 0 <= flip < len(result.texts):
        raise Error(f"there are flips 0 to {len(result.texts) - 1}, not {flip}")
    traces = []
    for name, values, role in zip(
        result.models, (result.lens_here[flip], result.lens_there[flip]), ("a", "b"), strict=True
    ):
        depth = np.linspace(0, 1, len(values))
        traces.append(lines.curve(depth, values, look, role=role, name=name[:30]))
    words = f"{quoted(result.toward[flip])} over {quoted(result.away[flip])}"
    return drawn(
        traces,
        look,
        title=f"“{result.texts[flip][-50:]}”: where the two part",
        height=360,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 90},
        shapes=[{"type": "line", "x0": 0, "x1": 1, "y0": 0, "y1": 0,
                 "line": {"color": colour("control", look), "dash": "dash", "width": 1}}],
        xaxis={"title": {"text": "relative depth, 0 the embedding"}, "range": [-0.03, 1.03]},
        yaxis={"title": {"text": f"lens: {escaped(words)}, nats"}},
    )  # fmt: skip


def _words(result: Flips, look: Look) -> go.Figure:
    y = np.arange(len(result.words))
    return drawn(
        [
            lines.ranges(np.zeros(len(y)), result.word_high, y, look,
                         name="95 % of as many texts at random"),
            go.Scatter(
                x=result.word_kl, y=y, mode="markers", name="texts with the word",
                marker={"size": 9, "color": colour("a", look)},
                hovertext=[
                    f"{escaped(quoted(word))}: {count(int(n), 'text')}, mean {number(v)} nats, "
                    f"at random below {number(high)}"
                    for word, n, v, high in zip(
                        result.words, result.word_n, result.word_kl, result.word_high, strict=True
                    )
                ],
                hovertemplate="%{hovertext}<extra></extra>",
            ),
        ],
        look,
        title="Words whose texts the models disagree on most",
        height=TOP + 50 + BOTTOM + 22 * len(y),
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 90},
        xaxis={"title": {"text": "largest KL of a text, mean, nats"}, "rangemode": "tozero"},
        yaxis=lines.rows_axis(list(result.words)),
    )  # fmt: skip


def _kl(result: Flips, look: Look) -> go.Figure:
    """Shares of places by their KL, on a logarithmic axis."""
    edges = np.linspace(-4, 2, 61)
    middles = 10 ** ((edges[1:] + edges[:-1]) / 2)
    traces = []
    for name, values, role in (
        ("another place's answer", result.control_kl, "control"),
        ("the same place", result.kl, "a"),
    ):
        share = np.histogram(np.log10(np.clip(values, 1e-4, 99)), edges)[0] / max(1, len(values))
        traces.append(
            go.Scatter(
                x=middles, y=share, mode="lines", name=name, line_shape="hvh", fill="tozeroy",
                line={"color": colour(role, look), "width": 2},
                fillcolor=faint(role, look, 0.2),
                hovertemplate=f"{name}<br>KL %{{x:.2~g}}: %{{y:.1%}}<extra></extra>",
            )
        )  # fmt: skip
    return drawn(
        traces,
        look,
        title=title(result),
        height=340,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 90},
        xaxis={"title": {"text": "KL of the other model from this one, nats (left: 1e-4 or less)"},
               "type": "log"},
        yaxis={"title": {"text": "share of places"}, "tickformat": ".0%", "rangemode": "tozero"},
    )  # fmt: skip


def title(result: Flips) -> str:
    """How often the first choice differs, in words."""
    one, two = result.models
    if result.same:
        return f"{one} twice: the same model, no flips"
    return (
        f"{one} and {two} differ in their first choice at {result.differs:.0%} of "
        f"{count(result.n_places, 'place')}; KL {number(result.kl.mean())} nats on average"
    )


def caption(result: Flips) -> str:
    """The control and the sample, in words."""
    parts = [
        f"{count(result.n_texts, 'text')} ({result.source}), "
        f"{count(result.n_places, 'place')} at which both have read the same",
        f"control, the other model's answer at another place: KL "
        f"{number(result.control_kl.mean())}",
    ]
    if result.mass.min() < 0.999:
        parts.append(
            f"over {count(result.n_shared, 'token')} both have, which hold {result.mass[0]:.0%} "
            f"and {result.mass[1]:.0%} of the probability"
        )
    if result.why_no_parts:
        parts.append(f"components not exchanged: {result.why_no_parts}")
    elif result.effect.size:
        parts.append(
            f"components alone, {result.control_effect.shape[2]} random movements as far; in "
            "brackets: not beyond them"
        )
    return "; ".join([*parts, f"seed {result.seed}", *result.notes])
