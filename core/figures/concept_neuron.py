"""Candidates of a concept under noise: what answers on it lose, and what others lose."""

import numpy as np
import plotly.graph_objects as go

from core.figures.lines import dots, ranges, rows_axis
from core.figures.theme import Look, drawn
from core.figures.wording import count, number, quoted, readable
from core.results.concept_neuron import VERDICTS, ConceptNeuron

ROW = 34


def figure(result: ConceptNeuron, look: Look) -> go.Figure:
    """One row a candidate: rise of the loss on the concept's questions and on control questions.

    Grey: the same on the concept's questions for every random neuron.
    """
    n = len(result.sites)
    rows = np.arange(n)
    traces = [_controls(result, look, rows)]
    for role, name, kind, shift, symbol in (
        ("a", f"questions on “{_name(result)}”", 0, -0.1, "circle"),
        ("b", "control questions", 1, 0.14, "diamond"),
    ):
        traces.append(
            dots(
                result.rise[:n, kind], rows + shift, look, role=role, name=name,
                low=result.rise_low[:n, kind], high=result.rise_high[:n, kind], unit="nats",
                symbol=symbol,
            )
        )  # fmt: skip
    names = [
        f"{site} ({verdict})" for site, verdict in zip(result.sites, result.verdict, strict=True)
    ]
    return drawn(
        traces,
        look,
        title=title(result),
        height=130 + ROW * max(n, 2),
        showlegend=True,
        legend={"y": 1.04},
        margin={"l": 240, "r": 16, "t": 92},
        xaxis={"title": {"text": "loss of the clean answer under noise,<br>minus without (nats)"}},
        yaxis={**rows_axis(names), "title": {"text": "neuron"}},
    )


def title(result: ConceptNeuron) -> str:
    """The verdict on the best candidate, in words."""
    found = [n for n, verdict in enumerate(result.verdict) if verdict == VERDICTS[0]]
    if not found:
        return (
            f"None of {count(len(result.sites), 'candidate')} is specific to “{_name(result)}”: "
            f"{result.sites[0]} is {_verb(result.verdict[0])}"
        )
    best = max(found, key=lambda n: float(result.rise[n, 0]))
    on, off = result.rise[best]
    return (
        f"{result.sites[best]} carries “{_name(result)}”: noise on it costs these answers "
        f"{number(on)} nats, others {number(off)} (random neurons at most {number(_most(result))})"
    )


def caption(result: ConceptNeuron) -> str:
    """The controls and the sample, in words."""
    n_on = int(result.on_concept.sum())
    size = f"σ {number(result.sigma)}" if result.sigma else (
        f"σ {number(result.noise)} × the vector's root mean square"
    )  # fmt: skip
    found = ", ".join(
        f"{site} z {number(score, sign=True)} {quoted(*written[:3])}"
        for site, score, written in zip(result.sites, result.score, result.writes, strict=True)
    )
    return (
        f"control, {count(len(result.control_sites), 'random neuron')} of the same layers with "
        f"write vectors as long, and {count(len(result.on_concept) - n_on, 'control question')}; "
        f"{count(n_on, 'text')} on the concept, {count(result.n_draws, 'draw')} of noise, {size}; "
        f"what they write: {found} (random word lists reach {number(result.chance[1])})"
    )


def _name(result: ConceptNeuron) -> str:
    return readable(result.concept)[:40]


def _verb(verdict: str) -> str:
    return verdict.replace("no more than", "missed no more than")


def _most(result: ConceptNeuron) -> float:
    others = result.rise[len(result.sites) :, 0]
    return float(others.max()) if len(others) else 0.0


def _controls(result: ConceptNeuron, look: Look, rows: np.ndarray) -> go.Scatter:
    others = result.rise[len(rows) :, 0]
    low, high = (others.min(), others.max()) if len(others) else (0.0, 0.0)
    edge = np.ones(len(rows))
    return ranges(low * edge, high * edge, rows, look, name="random neurons, on the concept")
