"""Layer by token: what every layer would say, and how sure it is. Read upwards, as the model."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import (
    BOTTOM,
    SECOND_UNSIGNED,
    TOP,
    UNSIGNED,
    Look,
    colour_bar,
    drawn,
)
from core.figures.wording import count, escaped, number, quoted, token
from core.results.lens import LensResult
from core.spec.errors import Error

RANKS = (0, 1, 10, 100, 1_000, 10_000, 100_000)


@dataclass(frozen=True, slots=True)
class Shade:
    """One way to colour the grid."""

    words: str  # title of the colour bar, with the unit
    scale: str
    read: Callable[[LensResult], np.ndarray]  # -> [layer, token]
    embedding: Callable[[LensResult], np.ndarray]  # -> [token]
    limits: Callable[[LensResult], tuple[float, float]]


SHADES = {
    "probability": Shade(
        "probability of the layer's first choice",
        UNSIGNED,
        lambda r: r.top_probability[:, :, 0],
        lambda r: r.embed_top_probability[:, 0],
        lambda _: (0.0, 1.0),
    ),
    "entropy": Shade(
        "entropy (nats)",
        SECOND_UNSIGNED,
        lambda r: r.entropy,
        lambda r: r.embed_entropy,
        lambda r: (0.0, _whole(r.entropy, r.random_entropy, r.embed_entropy)),
    ),
    "rank": Shade(
        "rank of the final choice (0 = first)",
        UNSIGNED + "_r",
        lambda r: np.log10(1 + r.final_rank),
        lambda r: np.log10(1 + r.embed_final_rank),
        lambda r: (0.0, max(3.0, _whole(np.log10(1 + r.final_rank)))),
    ),
    "kl": Shade(
        "KL(final ‖ layer) (nats)",
        SECOND_UNSIGNED,
        lambda r: r.kl,
        lambda r: r.embed_kl,
        lambda r: (0.0, _whole(r.kl, r.embed_kl)),
    ),
}


def figure(
    result: LensResult,
    look: Look,
    *,
    colour: str = "probability",
    limits: tuple[float, float] | None = None,
) -> go.Figure:
    """Row l is layer l, the row below them the embedding; text is the layer's first choice.

    colour  "probability" of the first choice, "entropy", "rank" of the model's final choice,
            or "kl" to the final distribution
    limits  of the colour, when several grids stand side by side
    """
    if colour not in SHADES:
        raise Error(f"no colour {colour!r} for the lens; there are {', '.join(SHADES)}")
    shade = SHADES[colour]
    n_layers, n_tokens = result.entropy.shape
    low, high = limits or shade.limits(result)
    few = n_tokens <= grid.MOST_TEXT_COLUMNS and n_layers <= grid.MOST_TEXT_ROWS
    cells = grid.cells(
        np.concatenate([shade.embedding(result)[None], shade.read(result)]).astype("float32"),
        scale=shade.scale,
        limits=(low, high),
        hover=np.concatenate([_embedding_hover(result), _hover(result)]),
        text=_pieces((result.embed_shown, *result.shown)) if few else None,
        first_row=-1,
        bar=colour_bar(shade.words, look, **_ticks(colour, high)),
    )
    rows = grid.number_axis(n_layers, "layer", first=-1, names=True)
    rows["tickvals"], rows["ticktext"] = [-1, *rows["tickvals"]], ["emb", *rows["ticktext"]]
    return drawn(
        [cells],
        look,
        title=title(result),
        height=TOP + grid.rows_height(n_layers + 1) + BOTTOM + grid.label_room(result.tokens),
        xaxis=grid.token_axis(result.tokens, "token"),
        yaxis=rows,
    )


def title(result: LensResult) -> str:
    """Where the answer at the last token is settled, in words."""
    first, answer = settled(result, -1), result.shown[-1][-1][0]
    probability = number(result.top_probability[-1, -1, 0])
    where = (
        f"first choice of layer {first} and all above"
        if first < len(result.shown) - 1
        else "first choice of the last layer only"
    )
    return f"After {quoted(result.tokens[-1])}: {quoted(answer)} ({probability}), {where}"


def caption(result: LensResult) -> str:
    """The control and the sample, in words."""
    n_layers, n_tokens = result.entropy.shape
    return (
        f"control, random states of equal norm: entropy {number(result.random_entropy.mean())} "
        f"nats, final choice {number(result.random_final_probability.mean())}; "
        f"{count(n_tokens, 'token')}, {count(n_layers, 'layer')}"
    )


def settled(result: LensResult, position: int) -> int:
    """The lowest layer from which on every layer's first choice is the model's own."""
    same = result.top_ids[:, position, 0] == result.top_ids[-1, position, 0]
    wrong = np.flatnonzero(~same)
    return int(wrong[-1]) + 1 if len(wrong) else 0


def _whole(*arrays: np.ndarray) -> float:
    return float(max(1, math.ceil(max(float(np.nanmax(a)) for a in arrays if a.size))))


def _ticks(colour: str, high: float) -> dict[str, Any]:
    if colour != "rank":
        return {}
    shown = [rank for rank in RANKS if math.log10(1 + rank) <= high]
    return {
        "tickvals": [math.log10(1 + rank) for rank in shown],
        "ticktext": [f"{rank:,}" for rank in shown],
    }


def _pieces(shown: Sequence[Sequence[Sequence[str]]]) -> np.ndarray:
    most = 7 if len(shown[0]) <= 12 else 6
    return np.array([[token(cell[0], most) for cell in row] for row in shown], dtype=object)


def _embedding_hover(result: LensResult) -> np.ndarray:
    lines = [
        f"embedding · token {i} <b>{token(piece)}</b><br>says {escaped(quoted(*tops))}"
        f" {number(p)}<br>entropy {number(entropy)} nats"
        for i, (piece, tops, p, entropy) in enumerate(
            zip(
                result.tokens,
                result.embed_shown,
                result.embed_top_probability[:, 0],
                result.embed_entropy,
                strict=True,
            )
        )
    ]
    return np.array([lines], dtype=object)


def _hover(result: LensResult) -> np.ndarray:
    """[layer, token] of str; the first choice alone when there are very many cells."""
    n_layers, n_tokens = result.entropy.shape
    full = n_layers * n_tokens <= grid.MOST_HOVERS
    say = _line if full else _short_line
    return np.array(
        [[say(result, layer, t) for t in range(n_tokens)] for layer in range(n_layers)],
        dtype=object,
    )


def _short_line(result: LensResult, layer: int, t: int) -> str:
    choice = token(result.shown[layer][t][0])
    return f"L{layer} · {t} · {choice} {number(result.top_probability[layer, t, 0])}"


def _line(result: LensResult, layer: int, t: int) -> str:
    says = ", ".join(
        f"“{token(piece, 12)}” {number(p)}"
        for piece, p in zip(
            result.shown[layer][t][:3], result.top_probability[layer, t, :3], strict=False
        )
    )
    return (
        f"layer {layer} · token {t} <b>{token(result.tokens[t])}</b><br>says {says}"
        f"<br>entropy {number(result.entropy[layer, t])} nats "
        f"(random state {number(result.random_entropy[layer, t])})"
        f"<br>final choice: rank {int(result.final_rank[layer, t]):,}, "
        f"probability {number(result.final_probability[layer, t])}"
        f"<br>KL(final ‖ layer) {number(result.kl[layer, t])} nats"
    )
