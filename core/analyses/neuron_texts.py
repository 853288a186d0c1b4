"""One neuron's texts: where it does most, least, something in between, and anywhere."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from core.analyses.neuron_examples import (
    densities,
    most_common,
    padded_ids,
    random_share,
    reach,
)
from core.analyses.neuron_gallery import gallery
from core.analyses.runs import Progress
from core.corpus.chunks import N_CONTEXTS, WINDOW, Contexts
from core.corpus.readers import Corpus
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.results.neuron_texts import NeuronTexts
from core.spec.errors import Error
from core.spec.interventions import Change
from core.spec.site import Site
from kernels.top_examples import State
from kernels.top_examples.reading import N_BANDS, bands, linear, sides
from kernels.top_examples.state import EMPTY, Slots

HISTOGRAM_BINS = 60
ALIKE = 8  # tokens up to the peak; contexts that agree there are shown once
TOKENS_AT_ONCE = 4_096


class Shown(NamedTuple):
    """A context in a group: its number and the token it is shown for."""

    group: str
    context: int
    position: int


def neuron_texts(
    loaded: Loaded,
    progress: Progress,
    *,
    layer: int,
    neuron: int,
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    layers: int | Sequence[int] | None = None,
    interventions: Sequence[Change] = (),
    k: int = 20,
    n_shown: int = 8,
    n_band: int = 3,
    n_sample: int = 4,
    seed: int = 0,
) -> NeuronTexts:
    """The texts of one neuron, with the activation of every token in them.

    Taken from the pass of `neuron_examples` with the same options (its `layer` is `layers` here);
    the shown contexts are run once more. Of contexts that repeat each other around the peak the
    stronger one is shown. Bands: fifths of the range from 0 to the largest activation; within a
    band contexts are spread over its quarter octaves, so that its weaker part does not fill it.
    """
    site = Site(layer, "neuron", neuron, stack=loaded.prompt_stack)
    loaded.check(site)
    found = gallery(
        loaded,
        progress,
        corpus=corpus,
        field=field,
        window=window,
        n_contexts=n_contexts,
        layer=layers,
        interventions=interventions,
        k=k,
        seed=seed,
    )
    if layer not in found.layers:
        raise Error(f"layer {layer} was not read; layers= names {list(found.layers)}")
    state, made = found.states[found.layers.index(layer)], found.contexts
    shown = _chosen(state, neuron, made, n_shown, n_band, n_sample)
    activation = _activations(loaded, progress, made, shown, site, interventions)
    return NeuronTexts(
        request={},
        site=str(site),
        corpus=made.name,
        n_contexts=len(made),
        sites=tuple(str(change.site) for change in interventions),
        n_listed=k,
        random_share=random_share(made, k, seed),
        activation=activation,
        **_texts(loaded, made, shown, activation),
        **_statistics(loaded, state, neuron, made, k),
    )


def _texts(
    loaded: Loaded, made: Contexts, shown: Sequence[Shown], activation: np.ndarray
) -> dict[str, Any]:
    """What is shown, by field of the result."""
    windows = [made.windows[entry.context] for entry in shown]
    position = np.array([entry.position for entry in shown], dtype=np.int32)
    return {
        "group": tuple(entry.group for entry in shown),
        "tokens": tuple(pieces(loaded, window.ids) for window in windows),
        "special": tuple(tuple(not counts for counts in window.keep) for window in windows),
        "context": np.array([entry.context for entry in shown], dtype=np.int32),
        "document": np.array([window.document for window in windows], dtype=np.int32),
        "position": position,
        "peak": activation[np.arange(len(shown)), position],
    }


def _statistics(
    loaded: Loaded, state: State, neuron: int, made: Contexts, k: int
) -> dict[str, Any]:
    """The neuron's own numbers, by field of the result."""
    edges, counts = linear(state, neuron, HISTOGRAM_BINS)
    share, total = _bands(state, neuron)
    token, top_share = _top_token(state, neuron, made, k)
    positive, negative = (float(each[neuron]) for each in densities(state))
    return {
        "n_tokens": state.n_tokens,
        "largest": float(state.largest[neuron]),
        "smallest": float(state.smallest[neuron]),
        "p999": float(reach(state, 0.999)[neuron]),
        "mean": float(state.total[neuron] / state.n_tokens),
        "density": positive,
        "density_negative": negative,
        "top_piece": pieces(loaded, [token])[0] if token >= 0 else "",
        "top_share": top_share,
        "edges": edges,
        "counts": counts,
        "band_share": share,
        "band_sum": total,
    }


def _chosen(
    state: State, neuron: int, made: Contexts, n_shown: int, n_band: int, n_sample: int
) -> list[Shown]:
    """What is shown, group by group."""
    shown: list[Shown] = []
    for name, group in (("high", "top"), ("low", "bottom")):
        listed = _entries(state.lists[name], neuron, positive=True)
        shown += [Shown(group, *entry[1:]) for entry in _unlike(made, listed)[:n_shown]]
    for name, sign, end in (("high", "+", state.largest), ("low", "-", -state.smallest)):
        top = float(end[neuron])
        held = _entries(state.lists[f"{name}_bands"], neuron, positive=True, by_hash=True)
        for band in range(N_BANDS, 0, -1):
            low, high = top * (band - 1) / N_BANDS, top * band / N_BANDS
            inside = [entry for entry in held if low < entry[0] <= high]
            shown += [
                Shown(f"{sign}{band}", *entry[1:]) for entry in _unlike(made, inside)[:n_band]
            ]
    drawn = _entries(state.lists["sample"], neuron, by_hash=True)
    return shown + [Shown("sample", *entry[1:]) for entry in drawn[:n_sample]]


def _entries(
    slots: Slots, neuron: int, positive: bool = False, by_hash: bool = False
) -> list[tuple[float, int, int]]:
    """(value, context, position) of one neuron's entries, as listed or by the hash of their key."""
    key, value, context, position = (
        getattr(slots, name)[neuron].cpu().tolist()
        for name in ("key", "value", "context", "position")
    )
    found = [
        (key[i] & 0xFFFFFFFFFF, (value[i], context[i], position[i]))
        for i in range(len(key))
        if key[i] != EMPTY and (value[i] > 0 or not positive)
    ]
    return [entry for _, entry in sorted(found, reverse=True)] if by_hash else [e for _, e in found]


def _unlike(
    made: Contexts, entries: Sequence[tuple[float, int, int]]
) -> list[tuple[float, int, int]]:
    """The entries without those that repeat an earlier one around the peak."""
    seen, found = set(), []
    for entry in entries:
        _, context, position = entry
        ids = made.windows[context].ids
        around = ids[max(0, position - ALIKE + 1) : position + 1]
        if around not in seen:
            seen.add(around)
            found.append(entry)
    return found


def _activations(
    loaded: Loaded,
    progress: Progress,
    made: Contexts,
    shown: Sequence[Shown],
    site: Site,
    interventions: Sequence[Change],
) -> np.ndarray:
    """The neuron at every token of the shown contexts, [shown, token], NaN behind the end."""
    numbers = sorted({entry.context for entry in shown}, key=lambda i: len(made.windows[i].ids))
    width = max(len(made.windows[number].ids) for number in numbers)
    values = dict.fromkeys(numbers, np.empty(0, dtype=np.float32))
    at_once = max(1, TOKENS_AT_ONCE // width)
    for start in range(0, len(numbers), at_once):
        part = numbers[start : start + at_once]
        batch = rows(loaded, [made.windows[number].ids for number in part])
        seen = run(
            loaded, batch, read=[site], change=[interventions], logits="none", check=progress.check
        )
        for number, row in zip(part, seen.values[site].float().cpu().numpy(), strict=True):
            values[number] = row[: len(made.windows[number].ids)]
    activation = np.full((len(shown), width), np.nan, dtype=np.float32)
    for row, entry in enumerate(shown):
        activation[row, : len(values[entry.context])] = values[entry.context]
    return activation


def _bands(state: State, neuron: int) -> tuple[np.ndarray, np.ndarray]:
    """Shares by fifths of the range, above and below zero, [2, 5] each."""
    ends = (float(state.largest[neuron]), -float(state.smallest[neuron]))
    found = [
        bands(counts[neuron].cpu().numpy(), max(end, 0.0))
        for counts, end in zip(sides(state), ends, strict=True)
    ]
    return np.stack([share for share, _ in found]), np.stack([total for _, total in found])


def _top_token(state: State, neuron: int, made: Contexts, k: int) -> tuple[int, float]:
    one = Slots(
        *(
            getattr(state.lists["high"], name)[neuron : neuron + 1]
            for name in ("key", "value", "context", "position")
        )
    )
    token, share = most_common(one, padded_ids(made), k)
    return int(token[0]), float(share[0])
