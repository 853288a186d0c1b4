"""Probes without labels by layer: the concept, and the distractor they take for it."""

import numpy as np
import plotly.graph_objects as go

from core.figures import lines
from core.figures.probe_family import layers, state
from core.figures.theme import Look, drawn
from core.figures.wording import count, escaped, number, quoted
from core.results.unlabelled_probe import UnlabelledProbe

NAMES = {"ccs": "CCS", "pca": "loudest contrast", "labelled": "labelled probe (LDA)"}
_ROLES = {"ccs": "a", "pca": "b", "labelled": "c"}


def figure(result: UnlabelledProbe, look: Look, *, shown: str = "concept") -> go.Figure:
    """Held-out accuracy by layer; grey is where 90 % of random directions lie.

    shown  "concept" on plain texts, "distracted" the concept with distractors in the texts,
           "distractor" what the same probes say of the distractor
    """
    values = {
        "concept": result.accuracy,
        "distracted": result.distracted_accuracy,
        "distractor": result.distractor_accuracy,
    }[shown]
    x = np.arange(values.shape[1])
    low, high = np.quantile(result.control_accuracy, (0.05, 0.95), axis=0)
    traces = lines.band(x, low, high, look, role="control", alpha=0.3)
    traces[-1].update(name="random directions, 90 %", showlegend=True)
    for row, method in enumerate(result.methods):
        traces.append(lines.curve(x, values[row], look, role=_ROLES[method], name=NAMES[method]))
    if shown == "concept":
        traces.append(
            lines.curve(
                x, result.distractor_accuracy[0], look, role="warning", dash="dash", symbol="x",
                name="CCS with distractors: the distractor",
            )
        )  # fmt: skip
    axis = "says the distractor" if shown == "distractor" else f"says {result.positive}"
    return drawn(
        traces,
        look,
        title=title(result),
        height=380,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 110},
        xaxis=layers(len(x)),
        yaxis={
            "title": {"text": escaped(f"held-out accuracy: {axis[:50]}")},
            "range": [-0.03, 1.05],
        },
    )


def title(result: UnlabelledProbe) -> str:
    """What CCS finds at its best layer, and what it takes instead, in words."""
    layer = int(result.accuracy[0].argmax())
    chance = float(np.quantile(result.control_accuracy[:, layer], 0.95))
    found = float(result.accuracy[0, layer])
    beyond = "beyond" if found > chance else "not beyond"
    taken = int(sum(result.takes_the_distractor(row) for row in range(1, len(result.sites))))
    return (
        f"Without labels CCS says {result.positive} with accuracy {number(found)} behind "
        f"{state(layer)}, {beyond} random directions ({number(chance)}); with distractors it "
        f"names these instead at {taken} of {count(len(result.sites) - 1, 'layer')}"
    )


def caption(result: UnlabelledProbe) -> str:
    """The controls and the sample, in words."""
    return (
        f"control: random directions {number(result.control_accuracy.mean())}; a labelled probe of "
        f"random labels reaches CCS loss {number(result.random_label_loss.mean())} (CCS "
        f"{number(result.loss.mean())}); endings {quoted(*result.endings, most=24)}, distractors "
        f"{quoted(*result.distractors, most=24)}; {count(result.n_texts, 'text')}, "
        f"{result.n_train} to learn from, {count(result.n_groups, 'group')}, best of "
        f"{result.n_restarts} starts; seed {result.seed}"
    )
