"""Layer by neuron: how far what was searched for sticks out in what each neuron says."""

import plotly.graph_objects as go

from core.figures import neuron_strip
from core.figures.theme import Look
from core.figures.wording import count, number, readable
from core.results.neuron_search import NeuronSearch

VERBS = {"out": "writes", "in": "reads", "gate": "opens on"}


def figure(result: NeuronSearch, look: Look, *, limit: float | None = None) -> go.Figure:
    """A row a layer, a column a neuron (or the strongest of a group, whose number is customdata).

    limit  the |score| of full colour, when several maps stand side by side
    """
    return neuron_strip.figure(
        result.score,
        look,
        title=title(result),
        words="score (std. dev.)",
        diverging=True,
        limit=limit,
    )


def title(result: NeuronSearch) -> str:
    """The best neuron, its score and what chance reaches."""
    score, chance = float(result.hit_score[0]), result.chance[1]
    asked = f"“{readable(result.asked)[:60]}”"
    if abs(score) <= chance:
        return (
            f"No neuron {VERBS[result.weight]} {asked} more clearly than chance: "
            f"best {number(score, sign=True)}, random tokens reach {number(chance)}"
        )
    return (
        f"{result.sites()[0]} {VERBS[result.weight]} {asked} most: score "
        f"{number(score, sign=True)}, random tokens reach {number(chance)}"
    )


def caption(result: NeuronSearch) -> str:
    """The control and the sample, in words."""
    return (
        f"control, {count(result.n_random, 'draw')} of as many random tokens: the best of all "
        f"neurons stays below {number(result.chance[0])} in 95 % and {number(result.chance[1])} "
        f"in 99 %; {count(result.score.size, 'neuron')}, {count(result.n_asked, 'token')} "
        f"searched for of {result.n_vocabulary:,}"
    )
