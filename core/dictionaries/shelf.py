"""The dictionaries of one model by name: those in its folder, and those the user has added."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from core.dictionaries import saelens
from core.dictionaries.sparse import SparseDict
from core.spec.errors import Error


def names(folder: Path) -> dict[str, Path]:
    """{name: folder} of the dictionaries that lie beside a model's weights, in `sae/`."""
    found = sorted((folder / "sae").glob("*/cfg.json"))
    return {path.parent.name: path.parent for path in found}


class Shelf(Mapping[str, SparseDict]):
    """Dictionaries, each opened when first asked for."""

    def __init__(self, folder: Path) -> None:
        self._paths = names(folder)
        self._open: dict[str, SparseDict] = {}

    def __getitem__(self, name: str) -> SparseDict:
        if name not in self._paths:
            raise KeyError(name)
        if name not in self._open:
            self._open[name] = saelens.read(self._paths[name], name)
        return self._open[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def of(dictionaries: Mapping[str, SparseDict], name: str) -> SparseDict:
    """The dictionary of that name. Raises `Error` naming those there are."""
    if name not in dictionaries:
        known = ", ".join(dictionaries) or "none"
        raise Error(f"there is no dictionary {name!r} for this model; there are: {known}")
    return dictionaries[name]
