"""Can a probe's score be trusted as a probability, and how early in depth and text is it sure?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.analyses import calibrated
from core.analyses import probe_scores as scores
from core.analyses.calibrated import Case
from core.analyses.depth_floors import floors
from core.analyses.probe_asked import Sides, sides, stream_names
from core.analyses.runs import Progress
from core.analyses.states import states
from core.models.loaded import Loaded
from core.models.tokens import special
from core.results.calibration import PARTS, THRESHOLDS, Calibration
from core.spec.errors import Error


def calibration(
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
) -> Calibration:
    """Reliability of a logistic probe at every layer, before and after a temperature; stopping.

    labelled, concept, texts with labels and groups, positive, position: as in `probe_family`
    C         inverse penalty on standardised states

    The temperature (Guo et al. 2017) is fitted on inner folds of the training texts. Stopping by
    layers and by tokens after Zhang et al. 2025, "Reasoning Models Know When They're Right":
    a text is decided at the first layer, or the first tenth of its tokens, whose probe is sure.
    """
    if not (isinstance(C, int | float) and 1e-6 <= C <= 1e6):
        raise Error(f"C= is a number from 0.000001 to 1,000,000, not {C!r}")
    one = sides(
        loaded, labelled=labelled, concept=concept, texts=texts, labels=labels, groups=groups,
        words=words, positive=positive, position=position, too_long=too_long, folds=folds,
        seed=seed,
    )  # fmt: skip
    notes, tenths = list(one.notes), _tenths(loaded, one.read.ids)
    if loaded.kind != "decoder":
        tenths = []
        notes.append(
            f"{loaded.name} reads a text in both directions: every token knows the whole of it, so "
            "there is no stopping before its end"
        )
    seen = states(
        loaded, progress, one.read.ids, positions=(one.read.position, *tenths), embedding=True,
        share=(0.0, 0.4),
    ).vectors  # fmt: skip
    asked = calibrated.case(one.label, one.group, one.fold, seed)
    rows, parts = [], []
    for layer in range(seen.shape[1]):
        progress.step(0.4 + 0.6 * layer / seen.shape[1], f"probes of layer {layer}")
        rows.append(_layer(seen[0, layer], asked, C, seed, progress))
        parts.append([_part(x, asked, C, progress) for x in seen[1:, layer]])
    return _result(loaded, one, C, seed, rows, parts, _words(loaded, one, tenths), notes)


def _tenths(loaded: Loaded, ids: Sequence[Sequence[int]]) -> list[list[int]]:
    """For every tenth the token at which so much of each text has been read."""
    found: list[list[int]] = [[] for _ in PARTS]
    for one in ids:
        marked = special(loaded, one)
        plain = [at for at, is_special in enumerate(marked) if not is_special] or [len(one) - 1]
        for number, share in enumerate(PARTS):
            found[number].append(plain[max(0, int(np.ceil(share * len(plain) - 1e-9)) - 1)])
    return found


def _layer(x: Any, asked: Case, c: float, seed: int, progress: Progress) -> dict[str, Any]:
    """Everything about the probe at the position that was asked for."""
    found = calibrated.scaled(x, asked, asked.sets, c, progress.check)
    cool = found.cooled(asked.fold)
    own, raw = cool[:, 0], found.margin[:, 0]
    perfect = calibrated.perfect(own, np.random.default_rng((seed, 22)))
    control = [
        calibrated.measured(cool[:, row], asked.sets[:, row])
        for row in range(1, asked.sets.shape[1])
    ]
    right = ((own > 0) == asked.label).astype(float)
    return {
        **calibrated.measured(own, asked.label),
        **{f"raw_{name}": v for name, v in calibrated.measured(raw, asked.label).items()},
        "perfect_ece": perfect.mean(),
        "perfect_ece_high": np.quantile(perfect, 0.95),
        "control_brier": np.mean([each["brier"] for each in control]),
        "control_ece": np.mean([each["ece"] for each in control]),
        "temperature": found.temperature[:, 0],
        "margin": own,
        "raw_margin": raw,
        "reliability": calibrated.reliability(own, asked.label),
        "raw_reliability": calibrated.reliability(raw, asked.label),
        "accuracy": scores.fold_means(right, asked.fold, np.ones((1, len(right))))[0],
        "auc": float(np.nanmean(scores.auc(own[:, None], asked.label, asked.fold))),
    }


def _part(x: Any, asked: Case, c: float, progress: Progress) -> dict[str, Any]:
    """The probe after a part of every text was read."""
    found = calibrated.scaled(x, asked, asked.sets, c, progress.check)
    cool = found.cooled(asked.fold)
    aucs = [
        float(np.nanmean(scores.auc(cool[:, row : row + 1], asked.sets[:, row], asked.fold)))
        for row in range(asked.sets.shape[1])
    ]
    right = ((cool[:, 0] > 0) == asked.label).astype(float)
    return {
        "margin": cool[:, 0],
        "auc": aucs[0],
        "control_auc": np.array(aucs[1:]),
        "accuracy": scores.fold_means(right, asked.fold, np.ones((1, len(right))))[0],
    }


def _words(loaded: Loaded, one: Sides, tenths: Sequence[Sequence[int]]) -> np.ndarray:
    """AUC [part] of a regression on which words have been read so far."""
    found = []
    for places in tenths:
        begun = [
            loaded.tokenizer.decode(ids[: place + 1], skip_special_tokens=True) or "."
            for ids, place in zip(one.read.ids, places, strict=True)
        ]
        found.append(floors(begun, None, one.label, one.fold, 2)[1][1])
    return np.array(found)


def _read(
    parts: list[list[dict[str, Any]]], label: np.ndarray, n_parts: int
) -> dict[str, np.ndarray]:
    """Arrays of the parts of texts, parts [layer][part]."""
    n_layers, levels = len(parts), np.array(THRESHOLDS)
    found = {
        "part_auc": np.zeros((n_parts, n_layers)),
        "part_accuracy": np.zeros((n_parts, n_layers)),
        "control_part_auc": np.zeros((calibrated.SHUFFLES, n_parts, n_layers)),
        "read_saved": np.zeros((n_layers, len(levels) if n_parts else 0)),
        "read_accuracy": np.zeros((n_layers, len(levels) if n_parts else 0)),
    }
    for layer, own in enumerate(parts if n_parts else []):
        found["part_auc"][:, layer] = [each["auc"] for each in own]
        found["part_accuracy"][:, layer] = [each["accuracy"] for each in own]
        found["control_part_auc"][:, :, layer] = np.stack([each["control_auc"] for each in own], 1)
        stage, told = calibrated.stops(np.stack([each["margin"] for each in own]), label, levels)
        found["read_saved"][layer] = 1 - (stage + 1) / n_parts
        found["read_accuracy"][layer] = told
    return found


def _result(
    loaded: Loaded, one: Sides, c: float, seed: int, rows: list[dict[str, Any]],
    parts: list[list[dict[str, Any]]], words: np.ndarray, notes: list[str],
) -> Calibration:  # fmt: skip
    found: dict[str, Any] = {
        name: np.stack([np.asarray(row[name]) for row in rows]) for name in rows[0]
    }
    levels = np.array(THRESHOLDS)
    at, right = calibrated.stops(found["margin"], one.label, levels)
    found |= {"stop_saved": 1 - at / (len(rows) - 1), "stop_accuracy": right}
    found |= _read(parts, one.label, len(words))
    share = one.label.mean()
    arrays: dict[str, Any] = {
        name: np.ascontiguousarray(values, "float32") for name, values in found.items()
    }
    return Calibration(
        request={},
        **one.facts(),
        c=float(c),
        seed=seed,
        sites=stream_names(loaded),
        texts=one.given.texts,
        n_inner=calibrated.INNER,
        n_shuffles=calibrated.SHUFFLES,
        n_draws=calibrated.DRAWS,
        notes=tuple(notes),
        label=one.label,
        base_brier=np.array([share * (1 - share)]),
        threshold=levels,
        part=np.array(PARTS[: len(words)]),
        part_words_auc=words,
        **arrays,
    )
