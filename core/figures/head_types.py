"""What each head may be called: the map of stages, their share with depth, one head's evidence."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.head_maps import hovers
from core.figures.lines import rows_axis
from core.figures.theme import BOTTOM, ROW, TOP, Look, colour, drawn, note
from core.figures.wording import count, escaped, number
from core.results.head_types import RULES, STAGE_CODES, HeadTypes, Rule
from core.spec.errors import Error
from core.spec.head_catalogue import stage_names

VIEWS = ("stages", "depth", "card")
# stage: (light, dark). Beside the colour the cell holds the label's short name.
COLOURS: dict[str, tuple[str, str]] = {
    "": ("#eceef1", "#23272f"),
    "recall": ("#ddaa33", "#ddaa33"),
    "identification": ("#4c9bd6", "#4c9bd6"),
    "reasoning": ("#cc6677", "#e08593"),
    "expression": ("#44aa99", "#44aa99"),
}
SHORT = {
    "previous token": "prev",
    "current token": "self",
    "duplicate token": "dup",
    "induction": "ind",
    "retrieval": "retr",
    "successor": "succ",
    "copy": "copy",
    "suppress": "supp",
    "same word": "word",
    "false induction": "false",
    "writes concept": "writ",
    "reads concept": "read",
    "delimiter": "del",
    "sink": "sink",
    "broad": "broad",
}
MOST_WORDS = 16  # heads: more, and no names stand in the cells


def figure(
    result: HeadTypes, look: Look, *, view: str = "stages", head: tuple[int, int] = (0, 0)
) -> go.Figure:
    """view  "stages": layer by head, coloured by the stage of the widest label; "depth": share of
          the stages in each third of the model; "card": one head's scores against every rule
    head  (layer, head) of the card
    """
    match view:
        case "stages":
            return _stages(result, look)
        case "depth":
            return _depth(result, look)
        case "card":
            return card(result, look, *head)
    raise Error(f"types of heads are drawn as {', '.join(VIEWS)}, not {view[:20]!r}")


def title(result: HeadTypes) -> str:
    """How many heads have a label, and which are commonest, in words."""
    labelled = int(result.fits.any(axis=-1).sum())
    counts = [(int(result.fits[..., at].sum()), rule.label) for at, rule in enumerate(RULES)]
    common = [f"{label} {n}" for n, label in sorted(counts, key=lambda one: -one[0])[:3] if n]
    which = f": {', '.join(common)}" if common else ""
    return f"{labelled} of {result.dormant.size} heads fit a rule{which}"


def caption(result: HeadTypes) -> str:
    """The controls and the sample, in words."""
    parts = []
    for source in result.sources:
        tokens = count(result.n_tokens[source], "token")
        texts = count(result.n_texts[source], "text") + ", " if result.n_texts[source] else ""
        parts.append(f"{source}: {texts}{tokens}")
    chance = [level for name, level in result.nulls.items() if name.endswith("untrained")]
    control = "control, 99 % of the same scores without training or meaning stand beside each rule"
    if not chance:
        control = "control, chance levels beside each rule where there are some"
    if np.isfinite(result.importance_spearman):
        parts.append(f"importance agrees with exact effects: {number(result.importance_spearman)}")
    untested = [rule.label for rule in RULES if rule.label not in result.tested]
    left_out = f"; not tested: {', '.join(untested)}" if untested else ""
    return f"{result.corpus}; {'; '.join(parts)}; {control}; thresholds are ours{left_out}"


def _stages(result: HeadTypes, look: Look) -> go.Figure:
    stage, n_heads = result.stage, result.stage.shape[1]
    n = len(STAGE_CODES)
    scale = [
        [edge, COLOURS[name][look.dark]]
        for place, name in enumerate(STAGE_CODES)
        for edge in (place / n, (place + 1) / n)
    ]
    words = None
    if n_heads <= MOST_WORDS and len(stage) <= grid.MOST_TEXT_ROWS:
        words = hovers(stage.shape, lambda *at: _short(result, *at))
    cells = grid.cells(
        stage.astype("float32"),
        scale=scale,
        limits=(-0.5, n - 0.5),
        text=words,
        hover=hovers(stage.shape, lambda *at: _line(result, *at)),
    )
    return drawn(
        [cells, *_legend(look)],
        look,
        title=title(result),
        height=TOP + 24 + grid.rows_height(len(stage)) + BOTTOM,
        margin={"t": TOP + 24},
        showlegend=True,
        legend={"y": 1.01},
        xaxis=grid.number_axis(n_heads, "head"),
        yaxis=grid.number_axis(len(stage), "layer", names=True),
    )


def _legend(look: Look) -> list[go.Scatter]:
    """One entry a stage; marks that lie nowhere."""
    names = _names()
    return [
        go.Scatter(
            x=np.array([np.nan]),
            y=np.array([np.nan]),
            mode="markers",
            name=names[code],
            marker={"color": COLOURS[code][look.dark], "symbol": "square", "size": 11},
        )
        for code in STAGE_CODES
    ]


def _names() -> dict[str, str]:
    """Stage -> its name, with a word on those that no rule can give."""
    tested = {rule.stage for rule in RULES}
    return {"": "no stage"} | {
        code: name if code in tested else f"{name} (no rule yet)"
        for code, name in stage_names().items()
    }


def _short(result: HeadTypes, layer: int, head: int) -> str:
    labels = result.labels_of(layer, head)
    return SHORT[labels[0]] + ("+" if len(labels) > 1 else "") if labels else ""


def _line(result: HeadTypes, layer: int, head: int) -> str:
    labels = result.labels_of(layer, head)
    dormant = " (dormant)" if result.dormant[layer, head] else ""
    found = [f"<b>{result.site(layer, head)}</b>", (", ".join(labels) or "fits no rule") + dormant]
    if np.isfinite(result.importance[layer, head]):
        found.append(
            f"importance {number(result.importance[layer, head], sign=True)} nats per token "
            f"(control {number(result.importance_control[layer, head], sign=True)})"
        )
    found += _cost(result, (layer, head))
    return "<br>".join(found)


def _cost(result: HeadTypes, at: tuple[int, int]) -> list[str]:
    """What ablating the head costs the second copy of random tokens, where it was asked."""
    if np.isnan(result.induction_cost[at]):
        return []
    level = number(result.thresholds["induction/ablation"])
    cost = number(result.induction_cost[at], sign=True)
    return [f"ablated, the second copy costs {cost} nats (random heads {level})"]


def _depth(result: HeadTypes, look: Look) -> go.Figure:
    share, names = result.depth_share(), _names()
    thirds = ["first third", "middle third", "last third"]
    bars = [
        go.Bar(
            x=thirds,
            y=share[:, place],
            name=names[code],
            marker={"color": COLOURS[code][look.dark]},
            hovertemplate=f"{names[code]}<br>%{{x}}: %{{y:.0%}}<extra></extra>",
        )
        for place, code in enumerate(STAGE_CODES)
    ]
    return drawn(
        bars,
        look,
        title="Stages of the heads with depth",
        height=320,
        barmode="stack",
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 96},
        xaxis={"title": {"text": "layers"}},
        yaxis={"title": {"text": "share of the heads"}, "tickformat": ".0%", "range": [0, 1]},
    )


def card(result: HeadTypes, look: Look, layer: int, head: int) -> go.Figure:
    """One head against every rule that was tested: score over threshold, chance beside it.

    A bar that reaches the line fits the rule, as far as its score goes; the diamond is the 99th
    percentile of the same score by chance.
    """
    rules = [rule for rule in RULES if rule.label in result.tested]
    at = (layer, head)
    own = np.array([_over(result, rule, at) for rule in rules])
    chance = np.array([_chance(result, rule) for rule in rules])
    fits = [rule.label in result.labels_of(*at) for rule in rules]
    rows = np.arange(len(rules))
    shared: dict[str, Any] = {"y": rows, "hovertemplate": "%{hovertext}<extra></extra>"}
    shared["hovertext"] = [_evidence(result, rule, at) for rule in rules]
    colours = [colour("a" if fit else "hairline", look) for fit in fits]
    end = max(1.3, float(np.nanmax([*own, *np.nan_to_num(chance)])) * 1.05)
    line = {"type": "line", "x0": 1, "x1": 1, "y0": 0, "y1": 1, "yref": "paper"}
    place: dict[str, Any] = {"x": 1, "y": 1, "yref": "paper", "yanchor": "bottom"}
    return drawn(
        [
            go.Bar(x=own, orientation="h", name="score", marker={"color": colours}, **shared),
            go.Scatter(
                x=chance,
                mode="markers",
                name="99 % of chance",
                marker={"color": colour("control", look), "symbol": "diamond", "size": 9},
                **shared,
            ),
        ],
        look,
        title=f"{result.site(*at)}: {', '.join(result.labels_of(*at)) or 'fits no rule'}",
        height=TOP + 30 + ROW * len(rules) + BOTTOM,
        margin={"l": 120, "r": 16, "t": TOP + 30},
        shapes=[{**line, "line": {"color": colour("muted", look), "width": 1, "dash": "dot"}}],
        annotations=[note("threshold", look, **place)],
        xaxis={"title": {"text": "score over threshold"}, "range": [0, end]},
        yaxis=rows_axis([rule.label for rule in rules], "label"),
    )


def _over(result: HeadTypes, rule: Rule, at: tuple[int, int]) -> float:
    """The least of the rule's scores over their thresholds, never below 0."""
    ratios = [float(np.nan_to_num(result.scores[name][at])) / least for name, least in rule.needs]
    return max(0.0, min(ratios))


def _chance(result: HeadTypes, rule: Rule) -> float:
    """The largest null of the rule's first score over its threshold; NaN without one."""
    name, least = rule.needs[0]
    levels = [
        level for null, level in result.nulls.items()
        if null.rpartition("/")[0] == name and not null.endswith("shuffled")
    ]  # fmt: skip
    return max(levels) / abs(least) if levels else float("nan")


def _evidence(result: HeadTypes, rule: Rule, at: tuple[int, int]) -> str:
    lines = [f"<b>{rule.label}</b>: {rule.words}"]
    for name, least in rule.needs:
        nulls = [
            f"{null.rpartition('/')[2]} {number(level)}"
            for null, level in result.nulls.items()
            if null.rpartition("/")[0] == name
        ]
        beside = f"; by chance, 99 %: {', '.join(nulls)}" if nulls else ""
        lines.append(
            f"{escaped(name)} {number(result.scores[name][at])}, above "
            f"{result.percentile(name, *at):.0%} of the heads; rule {number(least)}{beside}"
        )
    lines += _cost(result, at) if rule.causal else []
    return "<br>".join(lines)
