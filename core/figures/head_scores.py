"""One score of every head by its weights, layer by head, beside what random weights give."""

import numpy as np
import plotly.graph_objects as go

from core.figures import head_atlas
from core.figures.head_atlas import Score
from core.figures.theme import Look
from core.figures.wording import count, number
from core.results.head_scores import KINDS, SIGNED, HeadScores
from core.spec.errors import Error

UNITS = {
    "ov_eigenvalue": "Σ Re λ / Σ |λ|",
    "copy_activation": "share of what is raised",
    "suppress_activation": "share of what is lowered",
    "successor_over_copy": "standard deviations over the list",
    "successor_over_previous": "standard deviations over the list",
}


def figure(result: HeadScores, look: Look, *, kind: str = "copy_at_5") -> go.Figure:
    """A row a layer, a column a head, the control beside it; `kind` is a score or a list."""
    return head_atlas.figure(score(result, kind), look)


def score(result: HeadScores, kind: str = "copy_at_5") -> Score:
    """One kind of score, or the successor score of one list, as the atlas draws any number."""
    if kind in result.by_list:
        values = result.by_list[kind]
        chance = result.list_chance[result.list_names.index(kind)]
        control = np.full(values.shape, chance, "float32")
        return _score(result, f"successor score of {kind}", "share of items", values, control)
    if kind not in KINDS:
        raise Error(f"no score {kind[:30]!r}; there are {', '.join((*KINDS, *result.list_names))}")
    unit = UNITS.get(kind, "share of tokens")
    return _score(
        result, KINDS[kind], unit, result.scores[kind], result.control[kind], kind in SIGNED
    )


def _score(
    result: HeadScores,
    name: str,
    unit: str,
    values: np.ndarray,
    control: np.ndarray,
    signed: bool = False,
) -> Score:
    return Score(
        name=name,
        words=name,
        unit=unit,
        values=values,
        control=control,
        signed=signed,
        stack=result.stack,
    )


def title(result: HeadScores, kind: str = "copy_at_5") -> str:
    """The head of the largest value beside its control."""
    return head_atlas.title(score(result, kind))


def caption(result: HeadScores) -> str:
    """The control and the sample, in words."""
    lists = sum(result.list_published)
    return (
        f"tokens enter as their {_entered(result)}; control, "
        f"{count(result.n_random, 'head')} of random weights in each layer (of signed scores their "
        "mean size); "
        f"copying of {count(result.n_tokens, 'common token')} and {count(result.n_names, 'name')} "
        f"among {count(result.n_vocabulary, 'token')}, eigenvalues over "
        f"{count(result.n_eigen, 'token')}; {_acted(result)}succession of "
        f"{count(result.n_steps, 'item')} of {count(lists, 'list')}, chance {number(result.chance)}"
    )


def _acted(result: HeadScores) -> str:
    if not result.n_copied:
        return ""
    return (
        f"on activations {count(result.n_copied, 'query', 'queries')} of random tokens said "
        f"again, chance {number(result.copy_chance)}; "
    )


def _entered(result: HeadScores) -> str:
    if result.embedding == "raw":
        return "input embedding"
    return "stream behind block 0 (in layer 0 as their input embedding)"
