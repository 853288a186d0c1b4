"""A model over its training: what comes, what goes, and which parts do it at each checkpoint."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core import concepts as built_in
from core.analyses import training_kept
from core.analyses.given import against
from core.analyses.head_nulls import untrained
from core.analyses.head_overlap import LEAST_CASES
from core.analyses.runs import Progress
from core.analyses.states import encoded
from core.analyses.training_circuit import circuits
from core.analyses.training_row import BY_PLACE, KINDS, Asked, matched, measured, shape
from core.analyses.training_steps import step_of
from core.models import checkpoints as others
from core.models import door, sources
from core.models import pool as models
from core.models.loaded import Loaded
from core.results.training import Training
from core.spec.concept import Concept, from_plain
from core.spec.errors import Error
from core.spec.request import ModelRef

CONCEPTS = (
    "embedded: animal", "embedded: plural", "embedded: female", "embedded: colour",
    "embedded: French text", "sentiment", "gender",
)  # fmt: skip
CORPORA = ("reference", "world")
TASK = "repeated_tokens"
N_SEQUENCES = 16
N_CASES = 24
SHUFFLES = 20
MOST_ITEMS = 40  # of a side of a concept
LEAST_ITEMS = 4
SHARE = 0.2  # of all heads in a circuit
FRESH = "fresh weights"


def training(
    loaded: Loaded,
    progress: Progress,
    *,
    checkpoints: Sequence[str] | None = None,
    concepts: Sequence[Any] | None = None,
    corpus: str = "",
    task: Any = TASK,
    k: int = 0,
    n_sequences: int = N_SEQUENCES,
    n_cases: int = N_CASES,
    to: str = "mean",
    shuffles: int = SHUFFLES,
    fresh_too: bool = True,
    seed: int = 0,
) -> Training:
    """Heads, concepts, a circuit, neurons and losses at every checkpoint, and what came when.

    checkpoints  names or folders, earliest first, or "@" and a revision; None: those in the
                 model's folder. The model itself stands last. One is in memory at a time
    concepts     as in `direction`, by name or as data; None: some that come with the program
    corpus       the text whose loss is taken; "": the reference text, and the generated world
    task         a task pack, or (name, pairs of prompt and answer): the `k` heads it loses most
                 without are its circuit (0: a fifth of all heads)
    fresh_too    the same architecture with fresh weights stands in front

    Single checkpoints are kept on disk: a run that was stopped goes on behind them.
    """
    _refuse(n_sequences, n_cases, shuffles, k)
    size = k or max(2, round(SHARE * _n_heads(loaded)))
    if size >= _n_heads(loaded):
        raise Error(f"k={size} is no choice among the {_n_heads(loaded)} heads of {loaded.name}")
    refs = others.refs(loaded.folder, checkpoints, loaded.ref)
    asked, notes = _asked(loaded, concepts, corpus, task, n_sequences, n_cases, to, shuffles, seed)
    fresh, why = untrained(loaded, seed) if fresh_too else (None, "")
    if why:
        notes.append((FRESH, why))
    plan = [_Stage(_name(ref), ref=ref) for ref in refs]
    if not plan:
        raise Error(_ALONE.format(loaded.name))
    plan.append(_Stage(_name(loaded.ref), ref=loaded.ref, model=loaded))
    if fresh:
        plan.insert(0, _Stage(FRESH, model=fresh))
    rows, left_out = _rows(plan, loaded, progress, asked)
    if sum(stage.ref is not None for stage, _ in rows) < 2:
        reasons = "; ".join(f"{name}: {why}" for name, why in left_out)
        raise Error(f"no checkpoint of {loaded.name} could be read. {reasons}")
    return _result(loaded, asked, rows, (*notes, *left_out), size)


_ALONE = (
    "{} has no checkpoints: put them into a folder “checkpoints” beside its weights, or name "
    "folders or revisions (“@step1000”) in checkpoints=; embedded-small comes with some"
)


@dataclass(frozen=True)
class _Stage:
    """A row to come: by name, how it is opened, and the model where it is open already."""

    name: str
    ref: ModelRef | None = None
    model: Loaded | None = None


Rows = list[tuple[_Stage, Mapping[str, np.ndarray]]]


def _rows(
    plan: Sequence[_Stage], loaded: Loaded, progress: Progress, asked: Asked
) -> tuple[Rows, list[tuple[str, str]]]:
    """The rows that can stand under each other, and (name, why) of the others."""
    found: Rows = []
    left_out: list[tuple[str, str]] = []
    for number, stage in enumerate(plan):
        share = (0.98 * number / len(plan), 0.98 * (number + 1) / len(plan))
        progress.step(share[0], f"{stage.name}, {number + 1} of {len(plan)}")
        try:
            found.append((stage, _row(stage, loaded, progress, asked, share)))
        except Error as fault:
            if stage.model is loaded:
                raise
            left_out.append((stage.name, str(fault)))
    last = shape(found[-1][1])
    unlike = f"its shape is not that of {loaded.name}"
    left_out += [(stage.name, unlike) for stage, row in found if shape(row) != last]
    return [(stage, row) for stage, row in found if shape(row) == last], left_out


def _n_heads(loaded: Loaded) -> int:
    return len(loaded.stacks[loaded.prompt_stack].blocks) * loaded.n_heads


def _name(ref: ModelRef) -> str:
    return ref.revision or ref.name.rstrip("/").rpartition("/")[2]


def _refuse(n_sequences: Any, n_cases: Any, shuffles: Any, k: Any) -> None:
    for name, value, least, most in (
        ("n_sequences", n_sequences, 1, 1_000),
        ("n_cases", n_cases, LEAST_CASES, 1_000),
        ("shuffles", shuffles, 2, 1_000),
        ("k", k, 0, 10_000),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Error(
                f"{name} must be a whole number from {least} to {most:,}, not {value!r:.40}"
            )


def _asked(
    loaded: Loaded,
    concepts: Sequence[Any] | None,
    corpus: str,
    task: Any,
    n_sequences: int,
    n_cases: int,
    to: str,
    shuffles: int,
    seed: int,
) -> tuple[Asked, list[tuple[str, str]]]:
    """The question every checkpoint gets, and the concepts that this model cannot be asked."""
    if isinstance(concepts, str):
        raise Error("concepts= is a list of concepts, by name or as data")
    meant, negatives, notes = [], [], []
    for given in CONCEPTS if concepts is None else concepts:
        concept = built_in.named(given) if isinstance(given, str) else from_plain(given)
        try:
            one, negative = _items(loaded, concept, seed)
        except Error as fault:
            if concepts is not None:
                raise
            notes.append((concept.name, str(fault)))
            continue
        meant.append(one)
        negatives.append(negative)
    return Asked(
        (corpus,) if corpus else CORPORA, tuple(meant), tuple(negatives), task, n_sequences,
        n_cases, to, shuffles, seed,
    ), notes  # fmt: skip


def _items(loaded: Loaded, concept: Concept, seed: int) -> tuple[Concept, tuple[str, ...]]:
    """At most `MOST_ITEMS` a side, drawn at random, pairs together; all can be read."""
    negative, _ = against(concept)
    rng = np.random.default_rng(seed)
    up = rng.permutation(len(concept.positive))[:MOST_ITEMS]
    down = up if concept.paired else rng.permutation(len(negative))[:MOST_ITEMS]
    ups = tuple(concept.positive[n] for n in np.sort(up))
    downs = tuple(negative[n] for n in np.sort(down))
    if min(len(ups), len(downs)) < LEAST_ITEMS:
        raise Error(f"{concept.name} has fewer than {LEAST_ITEMS} texts on a side")
    encoded(loaded, (*ups, *downs))
    return replace(concept, positive=ups, negative=downs if concept.negative else ()), downs


def _row(
    stage: _Stage, loaded: Loaded, progress: Progress, asked: Asked, share: tuple[float, float]
) -> Mapping[str, np.ndarray]:
    """What a checkpoint answers: from disk, or measured and kept. It is let go afterwards."""
    device, dtype = str(loaded.device), str(next(loaded.module.parameters()).dtype)
    if stage.ref is None:
        weights = f"fresh:{loaded.fingerprint}"
    elif stage.model is loaded:
        weights = loaded.fingerprint
    else:
        weights = door.fingerprint(sources.resolve(stage.ref, progress, device))
    name = training_kept.key(weights, asked.plain() | {"dtype": dtype})

    def make() -> Mapping[str, np.ndarray]:
        model = stage.model
        if model is None:
            assert stage.ref is not None
            ref = replace(stage.ref, dtype=loaded.ref.dtype)
            model = models.apart(ref, device, progress)
        found, why = measured(model, progress, asked, stage.name, share)
        return found | {"why": np.array(json.dumps(why))}

    return training_kept.kept(name, make)


def _result(
    loaded: Loaded, asked: Asked, kept: Rows, left_out: Sequence[tuple[str, str]], k: int
) -> Training:
    every = [row for _, row in kept]
    last = every[-1]
    layers, heads = len(loaded.stacks[loaded.prompt_stack].blocks), loaded.n_heads
    under = _Under(every)
    kinds = KINDS if "score/induction" in last else ()
    return Training(
        request={},
        model=loaded.name,
        **_stages(kept, loaded),
        left_out=tuple(left_out),
        why_not=tuple(json.loads(str(last["why"])).items()),
        kinds=kinds,
        by_place=BY_PLACE,
        **_about(asked, last),
        n_neurons=last["neurons"].shape[1] if "neurons" in last else 0,
        d_mlp=loaded.d_mlp,
        stack=loaded.prompt_stack,
        loss=under.each("loss", (len(asked.corpora),)),
        copy_loss=under.each("copy_loss", (2,)),
        scores={kind: under.each(f"score/{kind}", (layers, heads)) for kind in kinds},
        control={kind: under.each(f"control/{kind}", (layers, heads)) for kind in kinds},
        shuffled={kind: under.each(f"shuffled/{kind}", (layers, heads)) for kind in kinds},
        auc=under.each("auc", last["auc"].shape),
        control_auc=under.each("control_auc", last["control_auc"].shape),
        answered=under.each("answered", ()),
        right=under.each("right", ()),
        **circuits(every, (layers, heads), k),
        **_followed(every, layers),
    )


def _stages(kept: Rows, loaded: Loaded) -> dict[str, Any]:
    """The rows by name, how each is opened, and its step."""
    stages = [stage for stage, _ in kept]
    return {
        "checkpoints": distinct([stage.name for stage in stages]),
        "refs": tuple(stage.ref.name if stage.ref else "" for stage in stages),
        "revisions": tuple(stage.ref.revision if stage.ref else "" for stage in stages),
        "fresh": stages[0].ref is None,
        "steps": np.array([_step(stage, loaded) for stage in stages]),
    }


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Names, numbered where two are the same."""
    return tuple(
        f"{name} ({number})" if names.count(name) > 1 else name
        for number, name in enumerate(names, start=1)
    )


def _about(asked: Asked, last: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What was asked, and the sizes of the samples."""
    both = zip(asked.concepts, asked.negatives, strict=True)
    return {
        "concepts": tuple(one.name for one in asked.concepts),
        "n_items": tuple((len(one.positive), len(down)) for one, down in both),
        "n_shuffles": asked.n_shuffles,
        "corpora": asked.corpora,
        "n_tokens": tuple(int(n) for n in last.get("n_tokens", np.zeros(len(asked.corpora)))),
        "n_sequences": asked.n_sequences,
        "n_queries": tuple(int(n) for n in last.get("n_queries", ())),
        "task": asked.task if isinstance(asked.task, str) else str(asked.task[0])[:60],
        "n_cases": len(last["effect"]) if "effect" in last else 0,
        "to": asked.to,
        "seed": asked.seed,
    }


@dataclass(frozen=True)
class _Under:
    """Arrays of all rows under each other, NaN where a row lacks one."""

    rows: Sequence[Mapping[str, np.ndarray]]

    def each(self, name: str, size: tuple[int, ...]) -> np.ndarray:
        blank = np.full(size, np.nan)
        return np.stack([row.get(name, blank) for row in self.rows]).astype("f4")


def _step(stage: _Stage, loaded: Loaded) -> float:
    if stage.ref is None:
        return 0.0
    folder = loaded.folder if stage.model is loaded else Path(sources.resolve(stage.ref))
    return step_of(folder, stage.name)


def _followed(every: Sequence[Mapping[str, np.ndarray]], layers: int) -> dict[str, Any]:
    """Neurons of each row found again in the next and in the last one."""
    names = ("kept_next", "kept_last", "cosine_next", "control_cosine_next")
    found = {name: np.full((len(every), layers), np.nan) for name in names}
    for number, row in enumerate(every[:-1]):
        if any("neurons" not in each for each in (row, every[number + 1], every[-1])):
            continue
        after = matched(row["neurons"], every[number + 1]["neurons"])
        found["kept_next"][number] = after["kept"]
        found["cosine_next"][number] = after["cosine"]
        found["control_cosine_next"][number] = after["control"]
        found["kept_last"][number] = matched(row["neurons"], every[-1]["neurons"])["kept"]
    return {name: values.astype("f4") for name, values in found.items()}
