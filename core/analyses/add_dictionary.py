"""Add a dictionary from a folder or a file, or one that is there once more, read otherwise."""

from typing import Any

from core import home
from core.analyses.runs import Progress
from core.dictionaries import names, shelf
from core.dictionaries.reading import Reading, reading
from core.dictionaries.sparse import SparseDict
from core.models.loaded import Loaded
from core.results.add_dictionary import AddDictionary
from core.spec.errors import Error


def add_dictionary(
    loaded: Loaded,
    progress: Progress,
    *,
    path: str = "",
    again: str = "",
    name: str = "",
    site: str = "",
    out_site: str = "",
    subtract: bool | None = None,
    norm: str = "",
    scale: float = 0.0,
    center: bool | None = None,
    transpose: bool = False,
    k: int = 0,
) -> AddDictionary:
    """Keep a dictionary under a name for this model, also for later sessions.

    path   of its folder or file; or `again`, the name of one that is there, to be read otherwise
    site   and what follows: what the files do not say, see `core.dictionaries.reading.Reading`
    """
    if home.hosted():
        raise Error("this server keeps no dictionaries of its visitors")
    if bool(path) == bool(again):
        raise Error("say which: the path of a dictionary, or again= for one that is there")
    said = Reading(site, out_site, subtract, norm, scale, center, transpose, k).plain()
    progress.step(0.1, f"opening {name or again or 'the dictionary'}")
    found = _again(loaded, again, name, said) if again else shelf.add(loaded, path, name, **said)
    return AddDictionary(
        request={},
        dictionary=found.name,
        site=str(found.site),
        out_site=str(found.out_site),
        format=found.about.format,
        n_features=found.n_features,
        notes=found.about.notes,
    )


def _again(loaded: Loaded, again: str, name: str, said: dict[str, Any]) -> SparseDict:
    """The files of `again` under another name. A reading that does not fit leaves no name."""
    entry = shelf.listed(loaded).get(again)
    if entry is None:
        shelf.of(loaded.dictionaries, again)  # says which there are
        raise Error(f"there is no dictionary {again!r} for this model")
    whole = reading(**(entry.reading | said)).plain()
    shelf.unkept(loaded, entry.path, name, **whole)
    names.keep_again(loaded.folder, again, name, said)
    if isinstance(loaded.dictionaries, shelf.Shelf):
        loaded.dictionaries.look()
    return shelf.of(loaded.dictionaries, name)
