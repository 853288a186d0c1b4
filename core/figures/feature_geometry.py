"""The cloud of a dictionary's rows: its spectrum, and whether lobes of co-firing lie together."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import Look, colour, drawn
from core.figures.wording import count, escaped, number
from core.results.feature_geometry import FeatureGeometry

HEIGHT = 380


def figure(result: FeatureGeometry, look: Look) -> go.Figure:
    """Left: eigenvalues by rank, both logarithmic. Right: agreement of lobes by their number.

    Dashed: random rows (left), shuffled labels (right).
    """
    rank = np.arange(1, len(result.eigenvalues) + 1, dtype=float)
    right: dict[str, Any] = {"x": np.asarray(result.k, float), "xaxis": "x2", "yaxis": "y2"}
    return drawn(
        [
            _line("dictionary", "a", "solid", look, x=rank, y=_above(result.eigenvalues)),
            _line("random", "control", "dash", look, x=rank, y=_above(result.random_eigenvalues)),
            _line("AMI with clusters of rows", "a", "solid", look, y=result.ami, **right),
            _line("AMI, shuffled", "control", "dash", look, y=result.ami_null, **right),
            _line("accuracy from the row", "b", "solid", look, y=result.accuracy, **right),
            _line("accuracy, shuffled", "control", "dot", look, y=result.chance, **right),
        ],
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 96, "r": 16},
        xaxis={"domain": [0, 0.46], "type": "log", "title": {"text": "rank"}},
        yaxis={
            "type": "log",
            "title": {"text": "share of the variance"},
            "exponentformat": "power",
        },
        xaxis2={"domain": [0.56, 1], "anchor": "y2", "title": {"text": "lobes"}, "dtick": 1},
        yaxis2={"anchor": "x2", "title": {"text": "agreement"}, "range": [-0.05, 1.03]},
    )


def title(result: FeatureGeometry) -> str:
    """Slope and agreement in words."""
    best = int(np.argmax(result.ami - result.ami_null))
    return (
        f"{result.dictionary}: eigenvalues fall with slope {number(result.slope)} (random rows "
        f"{number(result.random_slope)}); {result.k[best]} lobes agree with the rows by AMI "
        f"{number(result.ami[best])}"
    )


def caption(result: FeatureGeometry) -> str:
    """Controls and sample, in words."""
    return (
        f"{count(result.n_rows, 'row')} of {result.site}; effective dimension "
        f"{number(result.dimension)} (random {number(result.random_dimension)}), "
        f"{number(result.clustering)} nats closer than Gaussian rows (random "
        f"{number(result.random_clustering)}); lobes of {count(len(result.feature), 'feature')} by "
        f"{result.affinity} over {count(result.n_blocks, 'block')} of {result.block} tokens of "
        f"{escaped(result.corpus)}; control: labels shuffled {result.n_shuffles} times, 95 %"
    )


def _above(values: np.ndarray) -> np.ndarray:
    """Values that a logarithm can show."""
    return np.where(values > 1e-9, values, np.nan)


def _line(name: str, role: str, dash: str, look: Look, **more: Any) -> go.Scatter:
    more["y"] = np.asarray(more["y"], float)
    return go.Scatter(
        mode="lines+markers" if "xaxis" in more else "lines",
        name=name,
        line={"color": colour(role, look), "width": 2, "dash": dash},
        hovertemplate=f"%{{x}}: %{{y:.3g}}<extra>{name}</extra>",
        **more,
    )
