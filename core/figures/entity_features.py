"""How well features tell known names from unknown ones: every dictionary and kind of name."""

import numpy as np
import plotly.graph_objects as go

from core.figures.grid import cells
from core.figures.lines import rows_axis
from core.figures.theme import UNSIGNED, Look, colour_bar, drawn
from core.figures.wording import count, escaped, number
from core.results.entity_features import DIRECTIONS, EntityFeatures
from core.spec.errors import Error


def figure(result: EntityFeatures, look: Look, *, direction: str = "unknown") -> go.Figure:
    """Largest score of a feature by dictionary and kind, the last column over all kinds."""
    if direction not in DIRECTIONS:
        raise Error(f"names are {' or '.join(DIRECTIONS)}, not {direction[:20]!r}")
    row = DIRECTIONS.index(direction)
    score = np.concatenate([result.best[row], result.general[row][:, None]], axis=1)
    chance = np.concatenate([result.control_best[row], result.control_general[row][:, None]], 1)
    columns = (*result.kinds, "all kinds")
    hover = np.empty(score.shape, dtype=object)
    text = np.empty(score.shape, dtype=object)
    for n, name in enumerate(result.dictionaries):
        for m, kind in enumerate(columns):
            mark = "" if score[n, m] > chance[n, m] else " (chance)"
            text[n, m] = f"{number(score[n, m])}{mark}"
            hover[n, m] = (
                f"{escaped(name)}, {escaped(kind)}<br>{number(score[n, m])}, shuffled 95 %: "
                f"{chance[n, m]:.2f}"
            )
    return drawn(
        [cells(score, scale=UNSIGNED, limits=(0, 1), hover=hover, text=text,
               bar=colour_bar("difference of shares", look))],
        look,
        title=title(result),
        height=130 + 36 * len(result.dictionaries),
        margin={"l": 120},
        xaxis={
            "tickmode": "array", "tickvals": list(range(len(columns))),
            "ticktext": [escaped(name) for name in columns], "showgrid": False,
            "title": {"text": f"kind of {direction} names"},
        },
        yaxis=rows_axis(result.dictionaries),
    )  # fmt: skip


def title(result: EntityFeatures) -> str:
    """The most general feature of both directions."""
    parts = []
    for row, direction in enumerate(DIRECTIONS):
        at = int(result.general[row].argmax())
        parts.append(
            f"{direction} {number(result.general[row, at])} (shuffled "
            f"{number(result.control_general[row, at])})"
        )
    return f"features of names, over all kinds: {', '.join(parts)}"


def caption(result: EntityFeatures) -> str:
    """The control and the sample, in words."""
    n = sum(map(len, result.names))
    return (
        f"control, known and unknown shuffled {count(result.n_shuffles, 'time')}: 95 % of the "
        f"largest score; {count(n, 'name')} of {count(len(result.kinds), 'kind')}, on average "
        f"{number(result.tokens_known)} tokens when known and {number(result.tokens_unknown)} "
        f"when not; features on more than {result.most_density:.0%} of ordinary text left out"
    )
