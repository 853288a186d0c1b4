"""How good a codebook is, beside TopK, PCA and random codes."""

import numpy as np
import plotly.graph_objects as go

from core.figures.lines import dots, rows_axis
from core.figures.theme import Look, colour, drawn
from core.figures.wording import count, escaped, number
from core.results.fit_codebook import KINDS, FitCodebook

ROW = 30


def figure(result: FitCodebook, look: Look) -> go.Figure:
    """Held-out FVU of the four, the codebook first; 1 is what the mean alone leaves."""
    own = np.arange(len(KINDS)) == 0
    traces = []
    for chosen, role, name in ((own, "a", "codebook"), (~own, "control", "beside it")):
        places = np.flatnonzero(chosen)
        traces.append(dots(result.fvu[places], places, look, role=role, name=name, unit="FVU"))
    names = [
        f"{kind}, {number(cost, sign=True)} nats a token" if np.isfinite(cost) else kind
        for kind, cost in zip(KINDS, result.delta_ce, strict=True)
    ]
    line = {"color": colour("hairline", look), "width": 1}
    one = {"type": "line", "x0": 1, "x1": 1, "y0": 0, "y1": 1, "yref": "y domain", "line": line}
    most = max(1.0, float(np.nanmax(result.fvu)))
    return drawn(
        traces,
        look,
        title=title(result),
        height=110 + ROW * len(KINDS),
        shapes=[one],
        xaxis={"title": {"text": "unexplained variance (FVU)"}, "range": [0, 1.05 * most]},
        yaxis=rows_axis(names),
    )


def title(result: FitCodebook) -> str:
    """The codebook's FVU beside that of TopK."""
    own, topk = (number(float(value)) for value in result.fvu[:2])
    return f"{result.dictionary}: FVU {own} on held-out text, TopK {topk}"


def caption(result: FitCodebook) -> str:
    """Controls and sample, in words."""
    parts = [
        f"{count(result.n_codes, 'code')} of {result.site}, k {result.k}, "
        f"{count(len(result.left), 'round')} on {count(result.n_train_tokens, 'token')} of "
        f"{escaped(result.corpus)}; the model is not changed",
        f"judged on {count(result.n_held_tokens, 'token')}: {result.division}",
        f"{number(100 * float(result.unused[0]))} % of the codes unused there",
        f"beside it TopK of the same size after {count(result.topk_steps, 'step')}, PCA with "
        f"{count(result.k, 'component')}; control: random codes",
    ]
    return "; ".join([*parts, *([result.loss_missing] if result.loss_missing else [])])
