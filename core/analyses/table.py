"""Every analysis by name, from the tables of `core.analyses.tables`."""

from core.analyses.listed import Analysis
from core.analyses.tables import (
    depths,
    directions,
    features,
    geometry,
    heads,
    models,
    neurons,
    texts,
)
from core.spec.errors import Error

__all__ = ["ANALYSES", "Analysis", "analysis"]

_TABLES = (texts, heads, neurons, directions, features, depths, geometry, models)
ANALYSES: dict[str, Analysis] = {
    name: one for table in _TABLES for name, one in table.ANALYSES.items()
}


def analysis(name: str) -> Analysis:
    """The analysis of this name. Raises `Error` naming those there are."""
    if name not in ANALYSES:
        raise Error(f"no analysis {name[:40]!r}; there are {', '.join(ANALYSES)}")
    return ANALYSES[name]
