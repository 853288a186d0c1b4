"""Which sparse dictionaries a model has."""

from collections.abc import Sequence

import numpy as np

from core import home
from core.analyses.runs import Progress
from core.dictionaries import names
from core.dictionaries.names import Entry
from core.dictionaries.shelf import listed, of
from core.dictionaries.sparse import SparseDict
from core.models.loaded import Loaded
from core.results.dictionaries import Dictionaries
from core.spec.errors import Error

OPENED = 200_000_000  # bytes up to which a dictionary is opened to say what it is
KINDS = {
    "relu": "ReLU",
    "jumprelu": "JumpReLU",
    "topk": "TopK",
    "groupmax": "GroupMax",
    "gated": "Gated",
}


def dictionaries(loaded: Loaded, progress: Progress, *, opened: Sequence[str] = ()) -> Dictionaries:
    """Those in the model's folder and those added for it, with what they say of themselves.

    opened  names that are opened however large they are
    """
    entries = listed(loaded)
    rows: list[tuple[SparseDict | None, str]] = []
    for number, entry in enumerate(entries.values()):
        progress.step(number / len(entries), entry.name)
        rows.append(_opened(loaded, entry, entry.name in opened))
    found = [one for one, _ in rows]
    return Dictionaries(
        request={},
        names=tuple(entries),
        sites=tuple(str(one.site) if one else "" for one in found),
        out_sites=tuple(str(one.out_site) if one else "" for one in found),
        formats=tuple(one.about.format if one else "" for one in found),
        kinds=tuple(_kind(one) if one else "" for one in found),
        norms=tuple(one.norm.kind if one else "" for one in found),
        fingerprints=tuple(one.about.fingerprint if one else "" for one in found),
        models=tuple(one.about.model if one else "" for one in found),
        notes=tuple(one.about.notes if one else () for one in found),
        faults=tuple(fault for _, fault in rows),
        paths=tuple("" if home.hosted() else str(entry.path) for entry in entries.values()),
        added=np.array([entry.added for entry in entries.values()], dtype=bool),
        n_features=np.array([one.n_features if one else -1 for one in found], dtype=np.int64),
        declared_l0=np.array([one.about.declared_l0 if one else 0.0 for one in found]),
        file_bytes=np.array([_bytes(entry) for entry in entries.values()], dtype=np.int64),
    )


def _opened(loaded: Loaded, entry: Entry, asked: bool) -> tuple[SparseDict | None, str]:
    """(the dictionary, "") or (None, what is wrong with it)."""
    if not asked and _bytes(entry) > OPENED:
        return None, ""
    try:
        return of(loaded.dictionaries, entry.name), ""
    except Error as fault:
        return None, str(fault)


def _bytes(entry: Entry) -> int:
    try:
        return sum(path.stat().st_size for path in names.files(entry.path))
    except OSError:
        return 0


def _kind(one: SparseDict) -> str:
    kind = KINDS.get(one.act.kind, one.act.kind)
    what = f"{kind} {one.act.k}" if one.act.k else kind
    return f"{what} transcoder" if one.transcoder else what
