"""Which heads serve one concept, and what tasks lose when they are scaled down."""

import plotly.graph_objects as go

from core.figures.head_pair import head_pair, strongest
from core.figures.task_bars import bars
from core.figures.theme import Look
from core.figures.wording import count, number, readable
from core.results.head_consistency import HeadConsistency
from core.spec.errors import Error

VIEWS = ("heads", "pruned")


def figure(result: HeadConsistency, look: Look, *, view: str = "heads") -> go.Figure:
    """view "heads": layer by head; "pruned": log p lost with groups of heads silent."""
    if view not in VIEWS:
        raise Error(f"consistency is drawn as {', '.join(VIEWS)}, not {view!r:.40}")
    return _heads(result, look) if view == "heads" else _pruned(result, look)


def title(result: HeadConsistency) -> str:
    """The most consistent head and its concept, in words."""
    layer, head = strongest(result.score)
    best = int(result.score[layer, head])
    if not best:
        return "No head's channels belong to one of the lists more than chance allows"
    name = readable(result.names[int(result.concept[layer, head])])[:40]
    return (
        f"{best} of the {result.n_channels} strongest channels of L{layer}.head[{head}] belong to "
        f"“{name}” (random circuits up to {number(result.control.max())})"
    )


def caption(result: HeadConsistency) -> str:
    """The control and the sample, in words."""
    return (
        f"control: {count(result.n_draws, 'random circuit')} for each head, for tasks heads with "
        f"the least and {count(result.n_random, 'random group')} of "
        f"{count(result.group_size, 'head')}; {result.n_tokens} tokens per channel of "
        f"{result.n_vocabulary:,} whole words, {count(len(result.names), 'list')}, p below "
        f"{number(result.level)} over all lists and both signs"
    )


def _heads(result: HeadConsistency, look: Look) -> go.Figure:
    return head_pair(
        result.score.astype(float),
        result.control,
        look,
        title=title(result),
        words="channels of one concept",
        control_words="random circuits",
        limits=(0.0, float(result.n_channels)),
        more={"smallest p": result.p.min(-1)},
    )


def _pruned(result: HeadConsistency, look: Look) -> go.Figure:
    silent = result.lost[:, -1]  # [group, task]
    groups = (
        (silent[0], "most consistent", "a"),
        (silent[1], "least consistent", "b"),
        (silent[2:].mean(0), "random", "control"),
    )
    return bars(result.tasks, groups, look, title=title(result))
