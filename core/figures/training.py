"""A model over its training: heads at one checkpoint, curves, concepts, circuits, neurons, loss."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import lines, training_maps
from core.figures.theme import Look, drawn
from core.figures.training_maps import EFFECT
from core.figures.training_time import at, marked, places, site, time
from core.figures.wording import count, escaped, number, readable
from core.results.training import NEVER, RISE, RISE_AUC, Emergence, Training
from core.spec.errors import Error

__all__ = ["EFFECT", "at", "caption", "figure", "says", "site", "title", "what"]

VIEWS = ("curves", "heads", "concepts", "overlap", "neurons", "loss")
HEIGHT = 360
_ROLES = ("a", "b", "c", "clamped")
_DASHES = ("solid", "longdash", "dot", "dashdot")
_SYMBOLS = ("circle", "diamond", "square", "cross")


def figure(
    result: Training, look: Look, *, view: str = "", row: int | None = None, kind: str = "",
    concept: str = "",
) -> go.Figure:  # fmt: skip
    """One view of a training run.

    view     "curves": the strongest head of every kind; "heads": every head at the checkpoint
             `row`, by the score `kind` or its "effect" on the task; "concepts": the best layer of
             each, or all layers of `concept`; "overlap" of circuits; "neurons" that stay; "loss"
    row      number of a checkpoint, marked in curves; None: the last
    """
    if view not in ("", *VIEWS):
        raise Error(f"the figure can show {', '.join(VIEWS)}, not {view[:20]!r}")
    where = result.n_rows - 1 if row is None else row
    if not 0 <= where < result.n_rows:
        raise Error(f"there are checkpoints 0 to {result.n_rows - 1}")
    words = says(result, view=view, row=row, kind=kind, concept=concept)
    match view:
        case "heads":
            return training_maps.heads(result, look, words, where, _kind(result, kind))
        case "concepts" if concept:
            return training_maps.layers(result, look, words, concept)
        case "concepts":
            return training_maps.concepts(result, look, words)
        case "overlap":
            return training_maps.overlap(result, look, words)
        case "neurons":
            return _neurons(result, look, words, row)
        case "loss":
            return _loss(result, look, words, row)
    return _curves(result, look, words, row)


def _kind(result: Training, kind: str) -> str:
    found = kind or (result.kinds[0] if result.kinds else EFFECT)
    if found not in (*result.kinds, EFFECT):
        raise Error(f"heads can show {', '.join((*result.kinds, EFFECT))}, not {kind[:20]!r}")
    return found


def says(
    result: Training, *, view: str = "", row: int | None = None, kind: str = "", concept: str = ""
) -> str:
    """What a view shows, in a sentence."""
    where = result.n_rows - 1 if row is None else row
    if view == "heads":
        return _heads_say(result, where, _kind(result, kind))
    if view == "overlap" and result.n_cases:
        share = result.overlap[result.trained[:-1], -1]
        like = int((share > result.chance_overlap_high).sum())
        return (
            f"{like} of {len(share)} checkpoints share more heads of their circuit with the last "
            f"than 95 % of random sets do"
        )
    if view == "neurons" and result.n_neurons:
        kept = result.kept_last.mean(axis=1)
        half = np.flatnonzero(kept >= 0.5)
        since = f"from {at(result, int(half[0]))} on" if len(half) else "only at the end"
        return f"half of the neurons find themselves in the last checkpoint {since}"
    if view == "loss":
        first, last = (result.loss[n, 0] for n in (result.trained[0], -1))
        return (
            f"loss on {result.corpora[0]} text from {number(first)} to {number(last)} nats a token"
        )
    if view == "concepts" and concept:
        return f"{readable(concept)[:60]}, layer by layer"
    names = {"curves": "head", "concepts": "concept"}
    return title(result, names.get(view, ""))


def _heads_say(result: Training, row: int, kind: str) -> str:
    when = f"at {at(result, row)}"
    if kind == EFFECT:
        top = ", ".join(
            site(result, *divmod(int(head), result.effect.shape[2]))
            for head in result.top[row][:3] if head >= 0
        )  # fmt: skip
        return f"{when}: {result.task.replace('_', ' ')} loses most without {top or 'no head'}"
    best, level = result.best(kind)[row], result.level(kind)[row]
    n = int(result.beyond(kind)[row].sum())
    return (
        f"{when}: {kind.replace('_', ' ')} {number(best)} at most (largest control "
        f"{number(level)}), {count(n, 'head')} beyond control"
    )


def title(result: Training, only: str = "") -> str:
    """What came when, in words; `only` "head" or "concept" says those alone."""
    came = [one for one in result.emergences() if one.since != NEVER and only in ("", one.what)]
    if not came:
        return f"nothing of what was asked came beyond control while {_model(result)} was trained"
    said = "; ".join(f"{what(one)} from {at(result, one.since)} on" for one in came[:4])
    return said + (f"; {len(came) - 4} more" if len(came) > 4 else "")


def what(one: Emergence) -> str:
    """ "induction heads", or the name of a concept."""
    kind = one.name.replace("_", " ")
    return f"{kind} heads" if one.what == "head" else readable(one.name)[:40]


def caption(result: Training, view: str = "") -> str:
    """Controls and samples in words, of all views or of one."""
    about = {
        "heads": _about_heads, "concepts": _about_concepts, "overlap": _about_circuits,
        "neurons": _about_neurons, "loss": _about_loss,
    }  # fmt: skip
    wanted = {"": list(about), "curves": ["heads"]}.get(view, [view])
    parts = [
        f"{count(len(result.trained), 'checkpoint')}"
        + (" and fresh weights" if result.fresh else "")
    ]
    parts += [words for name in wanted if (words := about[name](result))]
    parts += [f"left out {readable(name)[:40]}: {why}" for name, why in result.left_out]
    parts += [f"no {part}: {why}" for part, why in result.why_not]
    return "; ".join([*parts, f"seed {result.seed}"])


def _about_heads(result: Training) -> str:
    if not result.kinds:
        return ""
    asked = ", ".join(f"{n:,}" for n in result.n_queries)
    return (
        f"{count(result.n_sequences, 'row')} of random tokens said twice ({asked} queries); a head "
        f"is beyond control {RISE:g} of attention above any head on random keys, on the same "
        "places with the tokens in random order (not for the previous token) and with fresh weights"
    )


def _about_concepts(result: Training) -> str:
    if not result.concepts:
        return ""
    return (
        "held-out AUC of the difference of means; beyond control "
        f"{RISE_AUC:g} above what the best of all cells reaches with shuffled labels "
        f"({result.n_shuffles} times) in 1 of 20, and above fresh weights"
    )


def _about_circuits(result: Training) -> str:
    if not result.n_cases:
        return ""
    return (
        f"circuit: the {result.k} heads that {result.task.replace('_', ' ')} loses most without "
        f"({count(result.n_cases, 'case')}, ablated to {result.to}); two random sets share "
        f"{number(result.chance_overlap)}, at most {number(result.chance_overlap_high)} in 19 of 20"
    )


def _about_neurons(result: Training) -> str:
    if not result.n_neurons:
        return ""
    cosine = np.nanmean(result.cosine_next[result.trained[0] :])
    control = np.nanmean(result.control_cosine_next[result.trained[0] :])
    return (
        f"{result.n_neurons:,} of {result.d_mlp:,} neurons of every layer, by their weights; "
        f"chance {number(1 / result.n_neurons)}; cosine with their own number in the next "
        f"checkpoint {number(cosine)} on average, with another neuron {number(control)}"
    )


def _about_loss(result: Training) -> str:
    if result.reason("loss"):
        return ""
    tokens = ", ".join(
        f"{name} text {n:,} tokens" for name, n in zip(result.corpora, result.n_tokens, strict=True)
    )
    return f"loss of the next token: {tokens}"


def _model(result: Training) -> str:
    return readable(result.model.rpartition("/")[2])[:40]


def _curves(result: Training, look: Look, title: str, row: int | None) -> go.Figure:
    """The strongest head of each kind, beside the largest control, in the same dash and grey."""
    where = places(result)
    traces: list[Any] = []
    for place, kind in enumerate(result.kinds):
        best, level = result.best(kind), result.level(kind)
        words = kind.replace("_", " ")
        grey = lines.curve(
            where, level, look, role="control", name=f"{words}: largest control",
            dash=_DASHES[place], showlegend=False,
        )  # fmt: skip
        grey.mode = "lines"
        line = lines.curve(
            where, best, look, role=_ROLES[place], name=words, dash=_DASHES[place],
            symbol=_SYMBOLS[place],
        )  # fmt: skip
        beyond = result.beyond(kind)
        tops = result.scores[kind].reshape(result.n_rows, -1).argmax(axis=1)
        names = [site(result, *divmod(int(top), result.effect.shape[2])) for top in tops]
        line.hovertext = np.array([
            f"<b>{escaped(at(result, n))}</b><br>{words}: {names[n]} {number(best[n])}"
            f"<br>largest control {number(level[n])}"
            f"<br>{count(int(beyond[n].sum()), 'head')} beyond control"
            for n in range(result.n_rows)
        ])  # fmt: skip
        line.hovertemplate = "%{hovertext}<extra></extra>"
        traces += [grey, line]
    return drawn(
        traces, look, title=title, height=HEIGHT, showlegend=True, legend={"y": 1.0},
        xaxis=time(result, where), **marked(look, row, where),
        yaxis={"title": {"text": "attention, strongest head"}, "range": [-0.03, 1.03]},
    )  # fmt: skip


def _neurons(result: Training, look: Look, title: str, row: int | None) -> go.Figure:
    """Share of neurons that find themselves in the next and in the last checkpoint."""
    where = places(result)
    traces: list[Any] = []
    for place, (values, words) in enumerate(
        ((result.kept_next, "in the next checkpoint"), (result.kept_last, "in the last one"))
    ):
        known = np.isfinite(values).any(axis=1)
        x, shown = where[known], values[known]
        traces += lines.band(x, shown.min(axis=1), shown.max(axis=1), look, role=_ROLES[place])
        line = lines.curve(
            x, shown.mean(axis=1), look, role=_ROLES[place], name=f"found again {words}",
            dash=_DASHES[place], symbol=_SYMBOLS[place],
        )  # fmt: skip
        line.hovertext = np.array([
            f"<b>{escaped(at(result, int(n)))}</b><br>{number(values[n].mean())} of the neurons "
            f"are found again {words}<br>layers {number(values[n].min())} to "
            f"{number(values[n].max())}; by chance {number(1 / max(1, result.n_neurons))}"
            for n in np.flatnonzero(known)
        ])  # fmt: skip
        line.hovertemplate = "%{hovertext}<extra></extra>"
        traces.append(line)
    chance = np.full(result.n_rows, 1 / max(1, result.n_neurons))
    grey = lines.curve(where, chance, look, role="control", name="chance", dash="dash")
    grey.mode = "lines"
    return drawn(
        [*traces, grey], look, title=title, height=HEIGHT, showlegend=True,
        legend={"y": 1.0}, xaxis=time(result, where), **marked(look, row, where),
        yaxis={"title": {"text": "share of neurons"}, "range": [-0.03, 1.03]},
    )  # fmt: skip


def _loss(result: Training, look: Look, title: str, row: int | None) -> go.Figure:
    """Loss of a token on text, and in the first and second copy of random tokens."""
    where = places(result)
    shown = [(values, name, "circle") for values, name in zip(
        result.loss.T, (f"{one} text" for one in result.corpora), strict=True
    )]  # fmt: skip
    shown += [(result.copy_loss[:, 1], "second copy of random tokens", "diamond")]
    traces: list[Any] = [
        lines.curve(where, values, look, role=_ROLES[n % 4], name=readable(name)[:30],
                    dash=_DASHES[n % 4], symbol=symbol)
        for n, (values, name, symbol) in enumerate(shown)
    ]  # fmt: skip
    traces.append(
        lines.curve(where, result.copy_loss[:, 0], look, role="control", dash="dash",
                    name="first copy, which nothing foretells")
    )  # fmt: skip
    for trace in traces:
        trace.hovertext = np.array([
            f"<b>{escaped(at(result, n))}</b><br>{trace.name}: {number(trace.y[n])} nats"
            for n in range(result.n_rows)
        ])  # fmt: skip
        trace.hovertemplate = "%{hovertext}<extra></extra>"
    return drawn(
        traces, look, title=title, height=HEIGHT, showlegend=True, legend={"y": 1.0},
        xaxis=time(result, where), **marked(look, row, where),
        yaxis={"title": {"text": "loss of a token (nats)"}, "rangemode": "tozero"},
    )  # fmt: skip
