"""At which layer a concept becomes readable, beside everything that could read it without one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses import probe_scores as scores
from core.analyses import probe_splits as splits
from core.analyses.depth_fits import PROBES, Plan, fit_layers
from core.analyses.depth_floors import floors
from core.analyses.depth_given import Read, asked_set, group_numbers, read
from core.analyses.head_nulls import untrained as untrained_twin
from core.analyses.runs import Progress, Silent
from core.analyses.states import states
from core.models.loaded import Loaded
from core.results.depth import Depth
from core.results.depth_summary import NAMES, paper_points, summary
from core.spec.errors import Error
from core.spec.labelled import LabelledSet, copies

SHUFFLES, TASKS = 20, 5
SPLITS = ("groups", "random")
LEAK = 0.1  # accuracy that random folds give above held-out groups and that is said aloud
_CAPTURE = 0.6  # share of the progress bar


def depth(
    loaded: Loaded,
    progress: Progress,
    *,
    texts: Sequence[str] = (),
    labels: Sequence[Any] = (),
    groups: Sequence[Any] | None = None,
    concept: Any = "",
    labelled: Any = "",
    probe: str = "logistic",
    C: float = 1.0,
    folds: int = 5,
    seed: int = 0,
    position: str = "",
    words: Sequence[str] | str = (),
    too_long: str = "refuse",
    untrained: bool = False,
    split: str = "groups",
) -> Depth:
    """Held-out scores of a probe on the states of every layer, with controls on the same folds.

    texts, labels, groups  texts, the class of each (two or more), and what must not be split; or
              concept=, a concept's positive against its negative texts, or labelled=, a set:
              the name of a built-in one, the path of a table, or its fields
    probe     "logistic" (penalty 1 / C on standardised states), "ridge" (penalty by leave-one-out),
              "lda" (shrunk covariance), "means" (nearest class mean)
    position  the state of a text: its "last" token that is not special (where nothing is said),
              its "mean", "-2", ..., or the last token of its "word" (with words=, one for all or
              one each); a labelled set says itself where it is read
    too_long  texts longer than the context: "refuse", or "cut" to read their ends
    untrained the same with fresh weights
    split     "groups" keeps groups whole where there are any, "random" does as if there were none

    After "Exploring Concept Depth" (Jin et al. 2024); control task and selectivity after Hewitt
    and Liang 2019. Folds are stratified, keep copies of a text together, and groups whole where
    they are given; then random folds stand beside them.
    """
    if probe not in PROBES:
        raise Error(f"no probe {probe[:40]!r}; there are {', '.join(PROBES)}")
    if not (isinstance(C, int | float) and 1e-6 <= C <= 1e6):
        raise Error(f"C= is a number from 0.000001 to 1,000,000, not {C!r}")
    given = asked_set(labelled, concept, texts, labels, groups, words)
    if split not in SPLITS:
        raise Error(f"split= is one of {', '.join(SPLITS)}, not {split[:40]!r}")
    if split == "random":
        given = replace(given, groups=())
    material = _material(loaded, given, position, too_long, folds, seed)
    vectors = _states(loaded, progress, material.read, (0.0, _CAPTURE))
    layers = _fitted(loaded, progress, vectors, material.plan, probe, C)
    twin = _untrained(loaded, progress, material, probe, C) if untrained else None
    progress.step(0.96, "words alone")
    lowest = floors(given.texts, material.read.types, material.label, material.fold, material.n)
    return _result(loaded, given, material, probe, C, seed, layers, twin, lowest)


@dataclass
class _Material:
    """Texts as read, who is held out when, and which labels are learned."""

    read: Read
    n: int  # classes
    label: np.ndarray  # [text]
    group: np.ndarray  # [text]
    grouped: bool
    fold: np.ndarray  # [text]
    types: np.ndarray | None  # [text] of the control task
    kind: str
    plan: Plan
    notes: list[str]


def _material(
    loaded: Loaded, given: LabelledSet, position: str, too_long: str, folds: int, seed: int
) -> _Material:
    one = read(loaded, given, position, too_long)
    label = np.array(given.labels)
    grouped, said = bool(given.groups), copies(given)
    group = group_numbers(given)
    whole = group if grouped or said else None  # what no split may tear
    fold = splits.folds(label, whole, folds, seed, given.classes)
    notes = [*one.notes, *said]
    if int(fold.max()) + 1 < folds:
        notes.append(f"{fold.max() + 1} groups make as many folds, not {folds}")
    rng = np.random.default_rng(seed)
    plan = Plan(len(given.classes), {"held": fold})
    plan.sets["main"] = (label[:, None], "held")
    plan.sets["all"] = (label[:, None], "")
    if grouped:
        least = np.bincount(label).min()
        plan.splits["random"] = splits.folds(label, None, min(folds, least), seed, given.classes)
        plan.sets["random"] = (label[:, None], "random")
    shuffled = splits.shuffled(label, fold, whole, SHUFFLES, rng)
    plan.sets["shuffled"] = (shuffled, "held")
    types, kind = _types(one, group if grouped else None)
    tasks = None if types is None else splits.control_tasks(label, types, TASKS, rng)
    if tasks is not None:
        plan.sets["task"] = (tasks, "random" if grouped else "held")
        if grouped:
            plan.sets["task on groups"] = (tasks, "held")
    else:
        kind = ""
        notes.append("no control task: there are no words or tokens of several kinds to relabel")
    return _Material(one, len(given.classes), label, group, grouped, fold, types, kind, plan, notes)


def _types(one: Read, group: np.ndarray | None) -> tuple[np.ndarray | None, str]:
    """What gets a random label in the control task: the token or word at the position, and where
    that is one for all, or the position is a mean, the group."""
    if one.types is not None and len(set(one.types)) > 1:
        return np.array(one.types, dtype=object), one.kind
    return (None, "") if group is None else (group, "group")


def _states(loaded: Loaded, progress: Progress, one: Read, share: tuple[float, float]) -> Tensor:
    """[layer, text, d_model] with the embedding as row 0."""
    seen = states(loaded, progress, one.ids, positions=(one.position,), embedding=True, share=share)
    return seen.vectors[0]


def _fitted(
    loaded: Loaded, progress: Progress, vectors: Tensor, plan: Plan, probe: str, c: float
) -> dict[str, np.ndarray]:
    """Margins [layer, text, set, output] by set, and weight, bias of all texts."""

    def done(layer: int) -> None:
        share = layer / len(vectors)
        progress.step(_CAPTURE + (0.95 - _CAPTURE) * share, f"probes of layer {layer}")

    rows = fit_layers(vectors, plan, probe, c, _device(loaded), progress.check, done)
    found = {name: np.stack([row.held[name] for row in rows]) for name in rows[0].held}
    found["weight"] = np.stack([row.weight.T for row in rows]).astype(np.float32)
    found["bias"] = np.stack([row.bias for row in rows]).astype(np.float32)
    return found


def _device(loaded: Loaded) -> torch.device | str:
    return loaded.device if str(loaded.device).startswith("cuda") else "cpu"


def _untrained(
    loaded: Loaded, progress: Progress, material: _Material, probe: str, c: float
) -> dict[str, np.ndarray] | None:
    """The same probe on the same folds and fresh weights; None, and a note, where impossible."""
    twin, why = untrained_twin(loaded, 0)
    if twin is None:
        material.notes.append(why)
        return None
    progress.step(0.95, "fresh weights")
    vectors = _states(twin, Silent(), material.read, (0.0, 1.0))
    plan = Plan(material.n, {"held": material.fold}, {"main": material.plan.sets["main"]})
    return _fitted(twin, Silent(), vectors, plan, probe, c)


def _curves(margin: np.ndarray, label: np.ndarray, fold: np.ndarray) -> dict[str, np.ndarray]:
    """fold_accuracy and fold_auc [layer, fold] of margins [layer, text, output]."""
    right = (scores.predicted(margin) == label).astype(float)
    each = [right[:, fold == number].mean(axis=1) for number in range(fold.max() + 1)]
    aucs = [scores.auc(layer, label, fold) for layer in margin]
    return {"fold_accuracy": np.stack(each, axis=1), "fold_auc": np.stack(aucs)}


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over folds; folds that lack a class have no AUC."""
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(axis=-1)
    found: np.ndarray = np.where(known.any(axis=-1), total / np.maximum(known.sum(-1), 1), np.nan)
    return found


def _main(material: _Material, margin: np.ndarray, seed: int) -> dict[str, Any]:
    """Scores with intervals, and the draws behind them."""
    label, fold = material.label, material.fold
    found: dict[str, Any] = _curves(margin, label, fold)
    found |= {name: _mean(found[f"fold_{name}"]) for name in ("accuracy", "auc")}
    guess, once = scores.predicted(margin), np.ones((1, len(label)))
    found["f1"] = scores.f1_draws(guess, label, material.n, once)[:, 0]
    recalls = [(guess[:, label == one] == one).mean(axis=1) for one in range(material.n)]
    found["balanced_accuracy"] = np.mean(recalls, axis=0)
    drawn = scores.draws(material.group, np.random.default_rng((seed, 1)))
    right = (guess == label).astype(float)
    each = {
        "accuracy": scores.fold_means(right, fold, drawn),
        "auc": np.stack([scores.auc_draws(layer, label, fold, drawn) for layer in margin]),
        "f1": scores.f1_draws(guess, label, material.n, drawn),
    }
    for name, values in each.items():
        found[f"{name}_low"], found[f"{name}_high"] = np.quantile(values, (0.025, 0.975), axis=1)
    low, high = scores.wilson(found["accuracy"], len(label))
    found["accuracy_low"] = np.minimum(found["accuracy_low"], low)
    found["accuracy_high"] = np.maximum(found["accuracy_high"], high)
    found["draws"] = each
    return found


def _controls(material: _Material, layers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Shuffled labels, control tasks, random folds: the arrays of the result."""
    plan, missing = material.plan, np.full(len(layers["main"]), np.nan)
    values, _ = plan.sets["shuffled"]
    each = [
        _curves(layers["shuffled"][:, :, number], values[:, number], material.fold)
        for number in range(values.shape[1])
    ]
    found, most = {}, []
    for name in ("accuracy", "auc"):
        all_ = np.stack([_mean(one[f"fold_{name}"]) for one in each], axis=1)  # [layer, shuffle]
        found[f"control_{name}"] = all_.mean(axis=1)
        low, high = np.quantile(all_, (0.05, 0.95), axis=1)
        found[f"control_{name}_low"], found[f"control_{name}_high"] = low, high
        most.append(np.quantile(all_.max(axis=0), 0.95))
    found["control_most"] = np.array(most)
    task = {name: _task(plan, layers, name, missing) for name in ("task", "task on groups")}
    found["task_accuracy"], found["task_grouped_accuracy"] = task.values()
    random = {"fold_accuracy": missing[:, None], "fold_auc": missing[:, None]}
    if material.grouped:
        random = _curves(layers["random"][:, :, 0], material.label, plan.splits["random"])
    found["random_accuracy"] = _mean(random["fold_accuracy"])
    found["random_auc"] = _mean(random["fold_auc"])
    return found


def _task(plan: Plan, layers: dict[str, np.ndarray], name: str, missing: np.ndarray) -> np.ndarray:
    """Mean accuracy of the control tasks of a name, [layer]."""
    if name not in plan.sets:
        return missing
    values, split = plan.sets[name]
    right = (scores.predicted(layers[name]) == values).mean(axis=2)
    once = np.ones((1, len(values)))
    return scores.fold_means(right, plan.splits[split], once)[:, 0]


def _points(main: dict[str, Any], floor: np.ndarray) -> dict[str, np.ndarray]:
    """`NAMES` -> [score, 3]: value, 5th and 95th percentile over draws of groups."""
    found = {name: np.full((2, 3), np.nan) for name in NAMES}
    for which, name in enumerate(("accuracy", "auc")):
        curve, low = main[name], main[f"{name}_low"]
        values = summary(curve, low, floor[which])
        drawn = [summary(each, low + each - curve, floor[which]) for each in main["draws"][name].T]
        for point in NAMES:
            many = np.array([one[point] for one in drawn])
            known = many[np.isfinite(many)]
            ends = np.quantile(known, (0.05, 0.95)) if len(known) else (np.nan, np.nan)
            found[point][which] = (values[point], *ends)
    return found


def _leaks(material: _Material, main: dict[str, Any], controls: dict[str, np.ndarray]) -> list[str]:
    """What the controls give away, in sentences."""
    found = []
    if material.grouped:
        gap = controls["random_accuracy"] - main["accuracy"]
        worst = int(gap.argmax())
        if gap[worst] > LEAK:
            found.append(
                f"random folds give {controls['random_accuracy'][worst]:.2f} at layer {worst} and "
                f"held-out groups {main['accuracy'][worst]:.2f}: random folds would count knowing "
                "a group again as reading the concept"
            )
        task = controls["task_grouped_accuracy"]
        share = np.bincount(material.label).max() / len(material.label)
        error = 3 * np.sqrt(share * (1 - share) / len(material.label)) + 0.02
        if np.isfinite(task).all() and task.max() > share + error:
            found.append(
                f"a control task over the {material.kind} at the position reaches "
                f"{task.max():.2f} on held-out groups, so groups share what is read there"
            )
    return found


def _asked(given: LabelledSet, material: _Material) -> dict[str, Any]:
    """What was asked about, and how it was divided."""
    return {
        "concept": given.name,
        "source": given.source,
        "position": material.read.asked,
        "grouped": material.grouped,
        "n_folds": int(material.fold.max()) + 1,
        "n_groups": len(np.unique(material.group)),
        "n_shuffles": SHUFFLES,
        "n_tasks": TASKS if "task" in material.plan.sets else 0,
        "types": material.kind,
        "n_types": len(set(material.types)) if material.types is not None else 0,
        "classes": given.classes,
        "texts": given.texts,
    }


def _result(
    loaded: Loaded,
    given: LabelledSet,
    material: _Material,
    probe: str,
    c: float,
    seed: int,
    layers: dict[str, np.ndarray],
    twin: dict[str, np.ndarray] | None,
    lowest: tuple[np.ndarray, np.ndarray],
) -> Depth:
    margin = layers["main"][:, :, 0]
    main: dict[str, Any] = dict(_main(material, margin, seed))
    controls: dict[str, Any] = dict(_controls(material, layers))
    highest = np.array([np.nanmax(each) for each in lowest])
    points = _points(main, highest)
    del main["draws"]
    loss = np.full((2, len(margin)), np.nan)
    if probe in ("logistic", "lda"):
        loss = np.stack(scores.log_loss(margin, material.label))
    fresh = {"fold_accuracy": np.full((len(margin), 1), np.nan)} | {"fold_auc": loss[:1].T * np.nan}
    if twin is not None:
        fresh = _curves(twin["main"][:, :, 0], material.label, material.fold)
    selected = controls["random_accuracy"] if material.grouped else main["accuracy"]
    return Depth(
        request={},
        probe=probe,
        c=float(c),
        seed=seed,
        stack=loaded.prompt_stack,
        **_asked(given, material),
        notes=(*material.notes, *_leaks(material, main, controls)),
        **main,
        **controls,
        log_loss=loss[0],
        calibration_error=loss[1],
        selectivity=selected - controls["task_accuracy"],
        untrained_accuracy=_mean(fresh["fold_accuracy"]),
        untrained_auc=_mean(fresh["fold_auc"]),
        floor=lowest[0],
        floor_auc=lowest[1],
        label=material.label,
        group=material.group,
        fold=material.fold,
        margin=margin.astype(np.float32),
        weight=layers["weight"],
        bias=layers["bias"],
        points=points,
        paper={n: np.array([v]) for n, v in paper_points(main["accuracy"][1:]).items()},
    )
