"""A label that a person gave to a feature."""

from dataclasses import dataclass
from typing import ClassVar

from core.results.base import Result


@dataclass(frozen=True)
class NameFeature(Result):
    """What the feature is called from now on; "" when its own label was taken away."""

    name: ClassVar[str] = "name_feature"
    dictionary: str
    feature: int
    site: str
    label: str
