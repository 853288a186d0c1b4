"""Sets of neurons: what texts cost when a set is silent, beside random sets of the same shape."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.analyses.runs import Progress
from core.analyses.token_neurons import written
from core.corpus.reference import encode_cut
from core.engine.forward import run
from core.engine.loss import next_token_losses
from core.engine.rows import Rows, rows
from core.engine.units import Act, through, unit_map
from core.engine.writes import neuron_writes
from core.models.loaded import Loaded
from core.spec.errors import Error

MAX_TOKENS = 256  # of one text; longer ones are cut
MOST_TEXTS = 2_000
MOST_GROUPS = 12
TOKENS_AT_ONCE = 4_096
LOGITS_AT_ONCE = 64_000_000  # numbers; 256 MB in float32
N_TOKENS = 5  # pieces a neuron is shown to write
LEAST_LOSS = 0.01  # nats per token: a smaller change off target counts as this much in a ratio


@dataclass(frozen=True)
class Batch:
    """Texts that run together: their places in the list of texts, and their rows."""

    places: tuple[int, ...]
    rows: Rows

    def one(self, row: int) -> "Batch":
        """One of the texts alone, without padding."""
        length = self.rows.lengths[row]
        ids = self.rows.ids[row : row + 1, :length]
        return Batch((self.places[row],), replace(self.rows, ids=ids, lengths=(length,)))


def texts_of(given: Sequence[str] | str, what: str) -> tuple[str, ...]:
    """The texts, without empty ones. Raises `Error` when nothing is left or it is no list."""
    if isinstance(given, str):
        given = given.splitlines()
    if not all(isinstance(text, str) for text in given):
        raise Error(f"{what} are a list of texts")
    found = tuple(text.strip() for text in given if text.strip())
    if not found:
        raise Error(f"{what} are empty: give at least one text")
    if len(found) > MOST_TEXTS:
        raise Error(f"{what} are {len(found):,} texts; at most {MOST_TEXTS:,} are read")
    return found


def batches(loaded: Loaded, texts: Sequence[str], what: str = "the texts") -> list[Batch]:
    """Rows of texts, texts of similar length together; each cut to `MAX_TOKENS`.

    Texts of a single token foretell nothing and are an `Error`.
    """
    limit = min(loaded.n_ctx or MAX_TOKENS, MAX_TOKENS)
    ids = [encode_cut(loaded, text, limit) for text in texts]
    short = next((text for text, own in zip(texts, ids, strict=True) if len(own) < 2), None)
    if short is not None:
        raise Error(f"{what} hold {short[:40]!r}, which is one token; write at least two")
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    found: list[Batch] = []
    part: list[int] = []
    for place in order:
        tokens = (len(part) + 1) * len(ids[place])
        if part and tokens > min(TOKENS_AT_ONCE, LOGITS_AT_ONCE // loaded.d_vocab):
            found.append(_batch(loaded, ids, part))
            part = []
        part.append(place)
    return [*found, _batch(loaded, ids, part)]


def _batch(loaded: Loaded, ids: list[list[int]], part: list[int]) -> Batch:
    return Batch(tuple(part), rows(loaded, [ids[place] for place in part]))


def silent(
    loaded: Loaded, chosen: Bool[Tensor, "layer neuron"], keep: bool = False
) -> Mapping[int, Act]:
    """Functions for `through` that put 0 into the chosen neurons (`keep`: into all others)."""
    factors = (chosen if keep else ~chosen).to(loaded.device)
    touched = [layer for layer in range(len(chosen)) if keep or bool(chosen[layer].any())]
    return {layer: _times(factors[layer]) for layer in touched}


def _times(factor: Tensor) -> Act:
    return lambda values: values * factor


def text_losses(
    loaded: Loaded,
    progress: Progress,
    parts: Sequence[Batch],
    chosen: Bool[Tensor, "layer neuron"] | None = None,
) -> Float[np.ndarray, " text"]:
    """Mean loss of each text in nats per token, with a set of neurons silent."""
    found = np.zeros(sum(len(part.places) for part in parts), dtype=np.float64)
    acts = {} if chosen is None else silent(loaded, chosen)
    for part in parts:
        with through(loaded, acts, part.rows.n):
            logits = run(loaded, part.rows, check=progress.check).logits
            assert logits is not None
            lost = next_token_losses(logits, part.rows).sum(dim=1).double().cpu().numpy()
        found[list(part.places)] = lost / (np.array(part.rows.lengths) - 1)
    return found


def random_like(
    chosen: Bool[Tensor, "layer neuron"], n: int, seed: int
) -> Iterator[Bool[Tensor, "layer neuron"]]:
    """n random sets with as many neurons in every layer as the set, none of them its own where
    the layer has enough others.
    """
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n):
        other = torch.zeros_like(chosen)
        for layer, row in enumerate(chosen):
            size = int(row.sum())
            free = torch.nonzero(~row)[:, 0] if 2 * size <= len(row) else torch.arange(len(row))
            picked = free[torch.randperm(len(free), generator=generator)[:size]]
            other[layer, picked] = True
        yield other


def set_gains(
    loaded: Loaded,
    progress: Progress,
    sets: Sequence[Bool[Tensor, "layer neuron"]],
    held: Sequence[Sequence[Batch]],
    n_random: int,
    seed: int,
    start: float = 0.0,
) -> tuple[Float[np.ndarray, "set kind draw"], Float[np.ndarray, " kind"]]:
    """Loss gained on every kind of text with every set silent, nats per token; and that before.

    Along the last axis the set itself, then `n_random` random sets with as many neurons in every
    layer. `start` is the share of the work already done.
    """
    base = np.array([text_losses(loaded, progress, parts).mean() for parts in held])
    gain = np.zeros((len(sets), len(held), 1 + n_random))
    for number, chosen in enumerate(sets):
        progress.step(start + (1 - start) * number / len(sets), "sets of neurons silent")
        for place, one in enumerate([chosen, *random_like(chosen, n_random, seed)]):
            for kind, parts in enumerate(held):
                lost = text_losses(loaded, progress, parts, one).mean()
                gain[number, kind, place] = lost - base[kind]
    return gain, base


def written_by(
    loaded: Loaded, layers: np.ndarray, units: np.ndarray
) -> tuple[tuple[str, ...], ...]:
    """The tokens the neurons write most, in the order given; none where they cannot be read."""
    if not len(units):
        return ()
    with loaded.busy():
        pairs = zip(layers, units, strict=True)
        vectors = [neuron_writes(loaded, int(layer))[int(unit)] for layer, unit in pairs]
        return written(loaded, torch.stack(vectors), N_TOKENS)[0]


def layers_and_width(loaded: Loaded) -> tuple[int, int]:
    """(layers, neurons of each). Raises `Error` where single neurons are missing."""
    unit_map(loaded, 0, loaded.prompt_stack)
    return len(loaded.stacks[loaded.prompt_stack].blocks), loaded.d_mlp


def bootstrap(values: np.ndarray, seed: int, repeats: int = 1_000) -> tuple[float, float]:
    """95 % interval of the mean, by drawing the values again with replacement."""
    picked = np.random.default_rng(seed).integers(0, len(values), (repeats, len(values)))
    low, high = np.quantile(values[picked].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def halves(loaded: Loaded, texts: Sequence[str]) -> tuple[list[Batch], list[Batch]]:
    """Batches of the even texts, to find neurons on, and of the odd ones, to measure losses on."""
    if len(texts) < 4:
        raise Error(
            f"{len(texts)} texts of one kind: give at least 4, since the neurons are found on "
            "one half and tested on the other"
        )
    return batches(loaded, texts[::2]), batches(loaded, texts[1::2])


def watch(
    loaded: Loaded, progress: Progress, part: Batch, look: Callable[[int, Tensor], None]
) -> None:
    """Run a batch and show `look(layer, values [token, neuron])` its real tokens, row after row."""
    stack = loaded.prompt_stack
    places = torch.arange(part.rows.ids.shape[1])
    real = places[None] < torch.tensor(part.rows.lengths)[:, None]

    def at(layer: int) -> Act:
        def act(values: Tensor) -> Tensor:
            look(layer, values[real.to(values.device)])
            return values

        return act

    layers = range(len(loaded.stacks[stack].blocks))
    with through(loaded, {layer: at(layer) for layer in layers}, part.rows.n, stack):
        run(loaded, part.rows, logits="last", check=progress.check)


def named_texts(groups: Sequence[Any], least: int = 2) -> tuple[list[str], list[tuple[str, ...]]]:
    """(names, texts) of groups given as (name, texts) pairs. Raises `Error` with a sentence."""
    try:
        pairs = [(str(name), texts) for name, texts in groups]
    except (TypeError, ValueError):
        raise Error("groups of texts are pairs of a name and a list of texts") from None
    if not least <= len(pairs) <= MOST_GROUPS:
        raise Error(f"{len(pairs)} groups of texts; give {least} to {MOST_GROUPS}")
    names = [name.strip()[:40] or f"group {n + 1}" for n, (name, _) in enumerate(pairs)]
    if len(set(names)) < len(names):
        raise Error("two groups of texts have the same name; give each its own")
    return names, [texts_of(texts, name) for name, (_, texts) in zip(names, pairs, strict=True)]
