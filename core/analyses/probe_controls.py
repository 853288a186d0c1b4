"""Is it the model or the probe? What a probe needs at each layer before it reads a concept."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.analyses import probe_effort as effort
from core.analyses.probe_asked import Sides, sides, stream_names, vectors
from core.analyses.runs import Progress
from core.models.loaded import Loaded
from core.results.probe_controls import ProbeControls
from core.spec.errors import Error


def probe_controls(
    loaded: Loaded,
    progress: Progress,
    *,
    labelled: Any = "",
    concept: Any = "",
    texts: Sequence[str] = (),
    labels: Sequence[Any] = (),
    groups: Sequence[Any] | None = None,
    words: Sequence[str] | str = (),
    positive: str = "",
    position: str = "",
    C: float = 1.0,
    folds: int = 5,
    seed: int = 0,
    too_long: str = "cut",
) -> ProbeControls:
    """A logistic probe of few texts, as a code, and in few dimensions.

    labelled, concept, texts with labels and groups, positive, position: as in `probe_family`
    C         inverse penalty on standardised states; the code chooses its own

    The code is the online code of Voita and Titov 2020, "Information-Theoretic Probing with
    Minimum Description Length". Beside each the same on shuffled labels; beside principal
    components as many random directions.
    """
    if not (isinstance(C, int | float) and 1e-6 <= C <= 1e6):
        raise Error(f"C= is a number from 0.000001 to 1,000,000, not {C!r}")
    one = sides(
        loaded, labelled=labelled, concept=concept, texts=texts, labels=labels, groups=groups,
        words=words, positive=positive, position=position, too_long=too_long, folds=folds,
        seed=seed,
    )  # fmt: skip
    states = vectors(loaded, progress, one, (0.0, 0.3), "reading the texts")
    asked = effort.case(one.label, one.group, one.fold, seed)
    rows = []
    for layer, x in enumerate(states):
        progress.step(0.3 + 0.7 * layer / len(states), f"probes of layer {layer}")
        check = progress.check
        rows.append(
            effort.by_size(x, asked, C, check)
            | effort.bits(x, asked, check)
            | effort.by_dimension(x, asked, C, seed, check)
        )
    return _result(loaded, one, asked, C, seed, rows, effort.dimensions(states[0]))


def _result(
    loaded: Loaded, one: Sides, asked: effort.Case, c: float, seed: int,
    rows: list[dict[str, np.ndarray]], dimension: np.ndarray,
) -> ProbeControls:  # fmt: skip
    found: dict[str, Any] = {
        name: np.stack([row[name] for row in rows], axis=-1) for name in rows[0]
    }
    share = one.label.mean()
    arrays: dict[str, Any] = {
        name: np.ascontiguousarray(values, "float32") for name, values in found.items()
    }
    return ProbeControls(
        request={},
        **one.facts(),
        c=float(c),
        seed=seed,
        sites=stream_names(loaded),
        n_shuffles=effort.SHUFFLES,
        n_few_shuffles=effort.FEW,
        n_orders=effort.ORDERS,
        penalties=effort.PENALTIES,
        notes=one.notes,
        size=effort.sizes(asked),
        block=effort.ends(asked, asked.orders[0]),
        dimension=dimension,
        entropy=np.array([-(share * np.log2(share) + (1 - share) * np.log2(1 - share))]),
        **arrays,
    )
