"""Many prompts by the lens: agreement, early answers, languages, entropy, and stopping early."""

import numpy as np
import plotly.graph_objects as go

from core.figures import lines
from core.figures.probe_family import layers, state
from core.figures.theme import Look, drawn
from core.figures.wording import count, number
from core.results.lens_depth import THRESHOLDS, LensDepth

_ROLES = ("b", "c", "clamped", "warning", "a")


def figure(result: LensDepth, look: Look) -> go.Figure:
    """Shares by layer: who says the final choice, who picks the right answer; grey is chance."""
    x = np.arange(len(result.agrees))
    traces = [
        *_mean("says the final choice", result.agrees, "a", "solid", look),
        *_mean("probability of it", result.final_probability, "b", "dash", look),
        _line("random states of equal norm", result.random_agreement, look),
    ]
    if result.candidates:
        name = f"right of {len(result.candidates)} answers"
        traces += lines.band(x, result.exit_low, result.exit_high, look, role="c")
        traces.append(lines.curve(x, result.exit_accuracy, look, role="c", name=name))
        chance = result.control_exit_accuracy.mean(axis=0)
        traces.append(_line("answers of other prompts", chance, look, symbol="x"))
    return _plot(traces, look, title(result), "share of the prompts", len(x), [-0.03, 1.03])


def title(result: LensDepth) -> str:
    """When half of the prompts have their answer, in words."""
    n = len(result.prompts)
    middle = int(np.median(result.decided))
    words = f"Half of {n} prompts have their final choice from {state(middle)} on"
    if not result.candidates:
        return words
    right = result.exit_accuracy
    early = int(right.argmax())
    words += f"; right in {number(100 * right[-1])} % at the end"
    if right[early] > right[-1]:
        words += f", in {number(100 * right[early])} % behind {state(early)}"
    return words


def caption(result: LensDepth) -> str:
    """The controls and the sample, in words."""
    half = len(result.agrees) // 2
    words = (
        f"control behind {state(half)}: random states of equal norm say the final choice in "
        f"{number(100 * result.random_agreement[half])} % "
        f"(states themselves {number(100 * result.agrees[half].mean())} %)"
    )
    if result.candidates:
        words += (
            f", other prompts' answers are picked in "
            f"{number(100 * result.control_exit_accuracy[:, half].mean())} %"
        )
    return (
        f"{words}; {count(len(result.prompts), 'text')}, last token; early layers echo the prompt "
        f"and are sure of it; seed {result.seed}"
    )


def entropies(result: LensDepth, look: Look) -> go.Figure:
    """How undecided each layer is, and how far from the final distribution, in nats."""
    traces = [
        *_mean("entropy", result.entropy, "a", "solid", look),
        *_mean("KL(final ‖ layer)", result.kl, "b", "dash", look),
        _line("entropy of random states", result.random_entropy, look),
    ]
    top = float(max(result.entropy.mean(1).max(), result.kl.mean(1).max()))
    name = "How undecided each layer is"
    return _plot(traces, look, name, "nats", len(result.agrees), [0, 1.15 * top])


def shares(result: LensDepth, look: Look) -> go.Figure:
    """Probability of each list of words by layer, mean over prompts with its 95 % interval."""
    traces = []
    for row, name in enumerate(result.tracked):
        role = _ROLES[row % len(_ROLES)]
        traces += _mean(name[:40], result.share[row], role, "solid", look)
        traces.append(_line(f"{name[:40]}, random states", result.random_share[row], look))
    if result.candidates:
        traces += _mean("the answer", result.answer_probability, "a", "dash", look)
        chance = result.control_answer_probability
        traces.append(_line("answers of other prompts", chance, look, symbol="x"))
    name = "Which words the layers would say"
    return _plot(traces, look, name, "probability", len(result.agrees), [-0.03, 1.03])


def ranks(result: LensDepth, look: Look) -> go.Figure:
    """Median rank of the final choice, and of the answer, by layer; 1 is first."""
    x = np.arange(len(result.agrees))
    traces = []
    known = [("final choice", result.final_rank, "a")]
    known += [("the answer", result.answer_rank, "c")] if result.candidates else []
    for name, values, role in known:
        low, middle, high = np.quantile(1 + values, (0.25, 0.5, 0.75), axis=1)
        traces += lines.band(x, low, high, look, role=role)
        traces.append(lines.curve(x, middle, look, role=role, name=f"{name}, median and half"))
    fig = _plot(traces, look, "The rank of what will be said", "rank (1 = first)", len(x), None)
    fig.update_yaxes(type="log", autorange="reversed")
    return fig


def exits(result: LensDepth, look: Look) -> go.Figure:
    """What stopping early saves and what it costs, for one level of sureness after another."""
    saved, kept = np.array([result.exits(level) for level in THRESHOLDS]).T
    last = len(result.agrees) - 1
    same = result.agrees.mean(axis=1)[1:]
    words = [
        "" if near < 0.03 else f"{level:g}"
        for level, near in zip(THRESHOLDS, np.abs(np.diff(saved, prepend=np.inf)), strict=True)
    ]
    own = lines.curve(saved, kept, look, role="a", name="stops when this sure")
    own.update(mode="lines+markers+text", text=words, textposition="top center")
    fixed = 1 - np.arange(1, last + 1) / last
    control = lines.curve(
        fixed, same, look, role="control", name="control: all stop at one layer", dash="dot"
    )
    return drawn(
        [own, control],
        look,
        title="Stopping early: what is saved, what is kept",
        height=340,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 80},
        xaxis={"title": {"text": "share of the blocks saved"}, "range": [-0.03, 1.03]},
        yaxis={"title": {"text": "still the final choice"}, "range": [-0.03, 1.1]},
    )


def _mean(
    name: str, values: np.ndarray, role: str, dash: str, look: Look
) -> list[go.Scatter]:  # values [layer, prompt]
    """Mean over prompts with its 95 % interval."""
    x, middle = np.arange(len(values)), values.mean(axis=1)
    half = 1.96 * values.std(axis=1) / np.sqrt(values.shape[1])
    band = lines.band(x, middle - half, middle + half, look, role=role)
    return [*band, lines.curve(x, middle, look, role=role, name=name, dash=dash)]


def _line(name: str, values: np.ndarray, look: Look, symbol: str = "circle") -> go.Scatter:
    x = np.arange(len(values))
    return lines.curve(x, values, look, role="control", name=name, dash="dot", symbol=symbol)


def _plot(
    traces: list[go.Scatter], look: Look, words: str, axis: str, n: int, ends: list[float] | None
) -> go.Figure:
    return drawn(
        traces,
        look,
        title=words,
        height=380,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 100},
        xaxis=layers(n),
        yaxis={"title": {"text": axis}, **({"range": ends} if ends else {})},
    )
