"""One forward pass over a corpus, reduced batch by batch to running statistics of every neuron.

The states are written to a folder of their own while the pass goes on, so a process that is killed
resumes where the last one stopped, and a finished pass is opened at once.
"""

import hashlib
import json
import logging
import os
import secrets
import time
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.analyses.runs import Progress
from core.analyses.scale import neuron_sites
from core.corpus.chunks import N_CONTEXTS, WINDOW, Contexts, contexts
from core.corpus.readers import Corpus
from core.engine.forward import run
from core.engine.rows import rows
from core.galleries.layout import trim
from core.home import home
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.interventions import Intervention, to_plain
from core.spec.site import Site
from kernels.top_examples import State, new_state, update
from kernels.top_examples.state import BINS, LOWEST, PER_BIN, RING, opened

log = logging.getLogger("eidoscope")

VERSION = 1
SPARE = 12  # contexts kept beyond those asked for, since some repeat each other
N_SAMPLES = 16
MAX_K = 200
CHECKPOINT_SECONDS = 5.0
MAX_STATES = 3_000_000_000  # bytes of all running statistics
MAX_TOKENS, LEAST_TOKENS = 2_048, 128  # of one batch
VALUES = {"cpu": 200_000_000, "cuda": 4_000_000_000}  # bytes of activations read at once
HELD = 2  # galleries kept with a model
FILE = "states.npz"


@dataclass(frozen=True)
class Gallery:
    """The statistics of the neurons of some layers; `states` in the order of `layers`."""

    contexts: Contexts
    layers: tuple[int, ...]
    states: tuple[State, ...]
    fingerprint: str
    resumed: int  # batches that an earlier process had done


def gallery(
    loaded: Loaded,
    progress: Progress,
    *,
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    layer: int | Sequence[int] | None = None,
    interventions: Sequence[Intervention] = (),
    k: int = 20,
    seed: int = 0,
) -> Gallery:
    """The pass over the corpus, or what an earlier one left in $EIDOSCOPE_HOME/galleries."""
    sites = chosen(loaded, layer)
    refuse_positions(interventions)
    if not isinstance(k, int) or not 1 <= k <= MAX_K:
        raise Error(f"k must be a whole number from 1 to {MAX_K}, not {k!r:.40}")
    _refuse_if_too_large(loaded, len(sites), k + SPARE)
    made = contexts(loaded, corpus, field=field, window=window, n_contexts=n_contexts)
    key = _fingerprint(loaded, made, sites, interventions, k, seed)
    held: dict[str, Gallery] = loaded.memo.setdefault("galleries", {})
    if key not in held:
        held[key] = _pass(loaded, progress, made, sites, interventions, k, seed, key)
        while len(held) > HELD:
            del held[next(iter(held))]
    return held[key]


def chosen(loaded: Loaded, layer: int | Sequence[int] | None) -> list[Site]:
    """The neuron sites of the layers asked for, None being all. Raises `Error` beyond the model."""
    sites = neuron_sites(loaded)
    loaded.check(sites[0])
    if layer is None:
        return sites
    wanted = [layer] if isinstance(layer, int) else list(layer)
    if not wanted or not all(isinstance(one, int) and 0 <= one < len(sites) for one in wanted):
        raise Error(f"layer {layer!r:.60}: {loaded.name} has layers 0 to {len(sites) - 1}")
    return [sites[one] for one in sorted(set(wanted))]


def refuse_positions(interventions: Sequence[Intervention]) -> None:
    """A change at one position means nothing over many texts."""
    for change in interventions:
        if change.site.position is not None:
            raise Error(
                f"{change.site}: over a corpus a change holds at every token; name it without @"
            )


def n_batch_tokens(loaded: Loaded, n_sites: int) -> int:
    """Tokens of one batch, so that the activations read at once stay within bounds."""
    room = VALUES.get(loaded.device.type, VALUES["cpu"]) // (4 * n_sites * max(1, loaded.d_mlp))
    return max(LEAST_TOKENS, min(MAX_TOKENS, room))


def _refuse_if_too_large(loaded: Loaded, n_layers: int, k: int) -> None:
    entries = 2 * k + 2 * RING * PER_BIN + N_SAMPLES
    size = n_layers * loaded.d_mlp * (20 * entries + 4 * (2 * BINS + 1) + 24)
    if size > MAX_STATES:
        raise Error(
            f"statistics of {n_layers * loaded.d_mlp:,} neurons take {size / 1e9:.1f} GB, at most "
            f"{MAX_STATES / 1e9:.0f} GB are used; choose some layers with layer="
        )


def _fingerprint(
    loaded: Loaded,
    made: Contexts,
    sites: Sequence[Site],
    interventions: Sequence[Intervention],
    k: int,
    seed: int,
) -> str:
    dtype = str(next(loaded.module.parameters()).dtype)
    changes = [to_plain(change) for change in interventions]
    layout = [VERSION, LOWEST, BINS, RING, PER_BIN, N_SAMPLES]
    parts = [layout, loaded.fingerprint, dtype, made.fingerprint, list(map(str, sites)), changes]
    text = json.dumps([*parts, k, seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _pass(
    loaded: Loaded,
    progress: Progress,
    made: Contexts,
    sites: Sequence[Site],
    interventions: Sequence[Intervention],
    k: int,
    seed: int,
    key: str,
) -> Gallery:
    size = n_batch_tokens(loaded, len(sites))
    batches = made.batches(size)
    store = _Checkpoint(home() / "galleries" / key, len(sites), size)
    done, states = store.read(loaded, len(batches))
    resumed = done
    if not states:
        options: dict[str, Any] = {"k": k + SPARE, "n_samples": N_SAMPLES, "device": loaded.device}
        states = [
            new_state(loaded.d_mlp, seed=seed * 10_007 + site.layer, **options) for site in sites
        ]
    for number in range(done, len(batches)):
        note = f"reading {made.name}, part {number + 1} of {len(batches)}"
        progress.step(number / len(batches), note)
        _read(loaded, progress, made, batches[number], sites, interventions, states)
        store.write(number + 1, len(batches), states)
    return Gallery(made, tuple(site.layer for site in sites), tuple(states), key, resumed)


def _read(
    loaded: Loaded,
    progress: Progress,
    made: Contexts,
    numbers: Sequence[int],
    sites: Sequence[Site],
    interventions: Sequence[Intervention],
    states: Sequence[State],
) -> None:
    """One batch of contexts through the model and into the states."""
    batch = rows(loaded, [made.windows[number].ids for number in numbers])
    seen = run(
        loaded, batch, read=sites, change=[interventions], logits="none", check=progress.check
    )
    keep = torch.from_numpy(made.keep_mask(numbers, batch.ids.shape[1])).to(loaded.device)
    ids = torch.tensor(numbers, device=loaded.device)
    with loaded.busy():
        for site, state in zip(sites, states, strict=True):
            update(state, seen.values[site], keep, ids)


class _Checkpoint:
    """The states on disk, in one file that is replaced as a whole."""

    def __init__(self, folder: Path, n_layers: int, batch_tokens: int) -> None:
        self.folder, self.n_layers, self.batch_tokens = folder, n_layers, batch_tokens
        self._written = time.monotonic()

    def read(self, loaded: Loaded, n_batches: int) -> tuple[int, list[State]]:
        """(batches done, the states), (0, []) when there is nothing to go on from."""
        path = self.folder / FILE
        try:
            with np.load(path, allow_pickle=False) as stored:
                done, total, batch_tokens = stored["done"].tolist()
                # Unfinished work of another batch size has no place to go on from.
                usable = done == total or (total, batch_tokens) == (n_batches, self.batch_tokens)
                if not usable:
                    return 0, []
                arrays = {name: stored[name] for name in stored.files}
            states = [_layer(arrays, number, loaded) for number in range(self.n_layers)]
        except FileNotFoundError:
            return 0, []
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as fault:
            log.warning("a stored gallery is damaged and made again: %s", fault)
            return 0, []
        with suppress(OSError):
            os.utime(self.folder)
        return (n_batches if done == total else done), states

    def write(self, done: int, total: int, states: Sequence[State]) -> None:
        """Now and then, and at the end. A disk that refuses costs the resuming, nothing else."""
        if done < total and time.monotonic() - self._written < CHECKPOINT_SECONDS:
            return
        arrays = {"done": np.array([done, total, self.batch_tokens])}
        for number, state in enumerate(states):
            arrays |= {f"{number}/{name}": array for name, array in state.arrays().items()}
        try:
            self._replace(arrays)
            if done == total:
                trim(self.folder)
        except OSError as fault:
            log.warning("a gallery is not kept on disk: %s", fault.strerror or fault)
        self._written = time.monotonic()

    def _replace(self, arrays: dict[str, np.ndarray]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{secrets.token_hex(6)}.part"
        try:
            with temporary.open("xb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.folder / FILE)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def _layer(arrays: dict[str, np.ndarray], number: int, loaded: Loaded) -> State:
    prefix = f"{number}/"
    own = {name.removeprefix(prefix): array for name, array in arrays.items() if prefix in name}
    own = {name: array for name, array in own.items() if "/" not in name}
    state = opened(own, loaded.device)
    if state.histogram.shape != (loaded.d_mlp, 2 * BINS + 1):
        raise ValueError("it is of another model or layout")
    return state
