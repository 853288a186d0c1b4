"""What every answer can do: name its arrays, become a table, be saved and opened again.

A result is a frozen dataclass. Fields holding numpy arrays are its numbers; every other
field is JSON (labels, units, the request, sample sizes). `slices` below tells a result's
fields apart; nothing is pickled.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from core.spec.errors import Error

if TYPE_CHECKING:
    import pandas as pd

ARRAYS_FILE = "arrays.npz"
LABELS_FILE = "result.json"


@dataclass(frozen=True)
class Result:
    """Base of all answers. Subclasses set `name`, the analysis they belong to.

    `request` is the question as `Request.plain()` gives it, {} where none was asked.
    """

    name: ClassVar[str] = ""
    request: Mapping[str, Any]

    def arrays(self) -> dict[str, np.ndarray]:
        """The answer's numbers by name, as checks and notebooks read them."""
        found: dict[str, np.ndarray] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                found[field.name] = value
            elif _maps_arrays(value):
                found |= {f"{field.name}/{key}": array for key, array in value.items()}
        return found

    def labels(self) -> dict[str, Any]:
        """Everything that is not an array, JSON-ready."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if not isinstance(getattr(self, field.name), np.ndarray)
            and not _maps_arrays(getattr(self, field.name))
        }

    def to_frame(self) -> "pd.DataFrame":
        """A long table: array name, its indices, the value. Results override it with better."""
        import pandas as pd  # not at the top: pages paint without it

        parts = []
        for name, array in self.arrays().items():
            index = np.indices(array.shape).reshape(array.ndim, -1)
            columns = {f"axis_{i}": axis for i, axis in enumerate(index)}
            parts.append(pd.DataFrame({"array": name, **columns, "value": array.reshape(-1)}))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def save(self, folder: str | Path) -> Path:
        """Write `arrays.npz` and `result.json` into the folder, which is made."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(target / ARRAYS_FILE, **self.arrays())  # type: ignore[arg-type]
        (target / LABELS_FILE).write_text(self.text())
        return target

    def text(self) -> str:
        """The labels as JSON, with the name of the analysis."""
        return json.dumps({"analysis": self.name, "labels": self.labels()}, ensure_ascii=True)

    @property
    def n_bytes(self) -> int:
        return sum(array.nbytes for array in self.arrays().values()) + 1_000

    @classmethod
    def build(cls, arrays: Mapping[str, np.ndarray], labels: Mapping[str, Any]) -> Self:
        """The result from its parts, as `arrays()` and `labels()` gave them."""
        values: dict[str, Any] = dict(labels)
        for name, array in arrays.items():
            group, slash, key = name.partition("/")
            if slash:
                values.setdefault(group, {})[key] = array
            else:
                values[name] = array
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise Error(f"a saved {cls.name!r} answer is damaged or of another version")
        return cls(**{key: _frozen(value) for key, value in values.items()})


def _maps_arrays(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(item, np.ndarray) for item in value.values())
    )


def _frozen(value: Any) -> Any:
    """JSON lists become tuples again, so that a loaded result equals the one saved."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def read_parts(folder: str | Path) -> tuple[str, dict[str, np.ndarray], dict[str, Any]]:
    """(analysis, arrays, labels) of a saved result; object arrays are refused by numpy."""
    source = Path(folder)
    try:
        text = json.loads((source / LABELS_FILE).read_text())
        with np.load(source / ARRAYS_FILE, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return text["analysis"], arrays, text["labels"]
    except FileNotFoundError:
        raise Error(f"no saved answer in {str(source)!r}: {LABELS_FILE} is missing") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise Error(f"the saved answer in {str(source)!r} is damaged") from None
