"""A dictionary that was added to those of a model."""

from dataclasses import dataclass
from typing import ClassVar

from core.results.base import Result


@dataclass(frozen=True)
class AddDictionary(Result):
    """What was added, as its files and the person say."""

    name: ClassVar[str] = "add_dictionary"
    dictionary: str  # the name it has now
    site: str
    out_site: str
    format: str
    n_features: int
    notes: tuple[str, ...]  # what was assumed on reading
