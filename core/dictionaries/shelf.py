"""The dictionaries of one model by name, each opened when first asked for, and adding to them."""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from core import home
from core.dictionaries import names
from core.dictionaries.formats import opened, placed
from core.dictionaries.names import Entry
from core.dictionaries.reading import reading
from core.dictionaries.saelens import UNKNOWN_SCALE
from core.dictionaries.sparse import Norm, SparseDict
from core.models import memory
from core.spec.errors import Error
from core.spec.site import site

if TYPE_CHECKING:
    from core.models.loaded import Loaded

MAX_OPEN = 8_000_000_000  # bytes of the dictionaries of one model that stay open
FRESH_SECONDS = 1.0  # how long a look at the files holds; a step of writing asks many times


class Shelf(Mapping[str, SparseDict]):
    """The dictionaries of a model's folder, and those a person has added for it.

    One that cannot be opened or does not fit raises `Error` when it is asked for, never before. A
    dictionary whose files changed is opened anew; one that was added must hold the same bytes.
    """

    def __init__(self, loaded: "Loaded") -> None:
        self._loaded = loaded
        self._lock = threading.RLock()
        self._entries: dict[str, Entry] = {}
        self._looked = float("-inf")
        self._open: dict[str, tuple[str, float, SparseDict]] = {}

    def __getitem__(self, name: str) -> SparseDict:
        with self._lock:
            now = time.monotonic()
            held = self._open.get(name)
            if held and now - held[1] < FRESH_SECONDS:
                return held[2]
            entry = self.entries()[name]
            stamp = f"{names.stamp_of(entry.path)}{entry}"
            same = held[2] if held and held[0] == stamp else self._opened(entry)
            self._open.pop(name, None)  # the one used last stands last
            self._open[name] = (stamp, now, same)
            self._make_room()
            return same

    def _make_room(self) -> None:
        """Let go of those used longest ago, as long as the rest is too much."""
        sizes = {name: _bytes(held[2]) for name, held in self._open.items()}
        for name in list(self._open)[:-1]:
            if sum(sizes.values()) <= MAX_OPEN:
                return
            del self._open[name], sizes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries())

    def __len__(self) -> int:
        return len(self.entries())

    def __contains__(self, name: object) -> bool:
        return name in self.entries()

    def entries(self) -> dict[str, Entry]:
        """What there is, unopened."""
        with self._lock:
            if time.monotonic() - self._looked > FRESH_SECONDS:
                self._entries = names.entries(self._loaded.folder)
                self._looked = time.monotonic()
            return self._entries

    def look(self) -> None:
        """Look at the files anew when they are next asked for: before an answer that is kept."""
        with self._lock:
            self._looked = float("-inf")
            self._open = {
                name: (held[0], float("-inf"), held[2]) for name, held in self._open.items()
            }

    def _opened(self, entry: Entry) -> SparseDict:
        found = opened(entry.path, entry.name, **entry.reading)
        if entry.added and found.about.fingerprint != entry.promised:
            raise Error(
                f"the files of {entry.name} changed since it was added; remove it and add it "
                "again under this or another name"
            )
        return _fitted(found, self._loaded)


def of(dictionaries: Mapping[str, SparseDict], name: str) -> SparseDict:
    """The dictionary of that name. Raises `Error` naming those there are."""
    if name not in dictionaries:
        known = ", ".join(dictionaries) or "none"
        raise Error(f"there is no dictionary {name!r} for this model; there are: {known}")
    return dictionaries[name]


def add(loaded: "Loaded", path: str | Path, name: str = "", **said: Any) -> SparseDict:
    """Open a dictionary and keep it under a name for this model, also for later sessions.

    `said` are the overrides of `formats.opened`. A factor that the files lack is estimated on the
    reference text. Raises `Error`.
    """
    found = unkept(loaded, path, name, **said)
    plain = reading(**said).plain()
    if found.norm.kind == "scale" and UNKNOWN_SCALE in found.about.notes:
        plain["scale"] = found.norm.scale
    entry = names.keep(loaded.folder, found.name, placed(path).resolve(), plain)
    shelf = loaded.dictionaries
    if isinstance(shelf, Shelf):
        shelf.look()
    return of(shelf, entry.name)


def unkept(loaded: "Loaded", path: str | Path, name: str = "", **said: Any) -> SparseDict:
    """A dictionary from a path, fitted to the model. Raises `Error`."""
    if home.hosted():
        raise Error("this server opens the dictionaries of its models, no paths")
    found = _fitted(opened(path, name, **said), loaded)
    if UNKNOWN_SCALE not in found.about.notes:
        return found
    return replace(found, norm=Norm("scale", estimated_scale(loaded, found)))


def remove(loaded: "Loaded", name: str) -> None:
    """Let go of a name that was added; its files stay. Raises `Error`."""
    names.forget(loaded.folder, name)
    if isinstance(loaded.dictionaries, Shelf):
        loaded.dictionaries.look()


def listed(loaded: "Loaded") -> dict[str, Entry]:
    """The dictionaries of a model by name, unopened."""
    return names.entries(loaded.folder)


def estimated_scale(loaded: "Loaded", dictionary: SparseDict) -> float:
    """sqrt(d_in) over the mean length on the reference text, first tokens left out."""
    from core.corpus.reference import reference_chunks
    from core.engine.forward import run
    from core.engine.rows import rows

    place, lengths = dictionary.site, []
    if place.stack != loaded.prompt_stack:
        raise Error(f"{dictionary.name}: no text is read at {place} to find its scale; say scale=")
    for ids in reference_chunks(loaded):
        seen = run(loaded, rows(loaded, [ids]), read=[place], logits="none").values[place][0]
        lengths.append(torch.linalg.vector_norm(dictionary.flat(seen[1:]).float(), dim=1))
    return dictionary.d_in**0.5 / max(float(torch.cat(lengths).mean()), 1e-30)


def _fitted(found: SparseDict, loaded: "Loaded") -> SparseDict:
    from core.dictionaries.fit import fitted  # the engine needs models, which need a shelf

    if loaded.device.type != "cpu":
        needed = 4 * (found.W_enc.numel() + found.W_dec.numel())
        if needed > memory.available(str(loaded.device)):
            raise Error(f"{found.name} needs {needed / 1e9:.1f} GB on {loaded.device}; no room")
    return fitted(found, loaded)


def _bytes(found: SparseDict) -> int:
    return sum(each.numel() * each.element_size() for each in (found.W_enc, found.W_dec))


def address(dictionary: SparseDict, unit: int) -> str:
    """The site text of a feature, as in `L2.resid_post.feature[topk-L2:1203]`."""
    place = replace(dictionary.site, unit=unit, dictionary=dictionary.name)
    return str(site(place))
