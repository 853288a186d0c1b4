"""The logit lens over many prompts: rank, probability, entropy, agreement, early answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.depth_given import asked_set
from core.analyses.given import word_ids
from core.analyses.lens import LOGITS_AT_ONCE
from core.analyses.probe_asked import stream_names
from core.analyses.runs import Progress, divergence, entropy, log_probabilities
from core.analyses.states import encoded, states
from core.corpus.lens_prompts import prompts
from core.engine.readout import unembed
from core.labelled import asked
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.results.lens_depth import LensDepth
from core.spec.errors import Error
from core.spec.intervals import wilson

SHUFFLES = 20
MOST_PROMPTS, MOST_TRACKED = 2_000, 12
_READ = ("entropy", "kl", "agrees", "top_probability", "final_rank", "final_probability")


def lens_depth(
    loaded: Loaded,
    progress: Progress,
    *,
    task: str = "",
    labelled: Any = "",
    texts: Sequence[str] = (),
    answers: Sequence[str] = (),
    tracked: Sequence[Sequence[Any]] = (),
    seed: int = 0,
) -> LensDepth:
    """What every layer would say behind each prompt, and from which layer on it is the answer.

    task      prompts with known answers: a task of the concept world, or "translation"
    labelled  or the texts of a labelled set; or texts=
    answers   the word each prompt should go on with; for a labelled set one a class does too
    tracked   lists of words to follow, (name, words): as many words as prompts are taken one
              each, any other number all together. What counts is a word's first token, with and
              without a blank before it.

    The logit lens (nostalgebraist 2020); agreement and early answers after Halawi et al. 2023
    ("Overthinking the Truth"), languages after Wendler et al. 2024 ("Do Llamas Work in English?").
    """
    _check(loaded)
    asked_ = _asked(task, labelled, texts, answers, tracked)
    ids = encoded(loaded, asked_.texts)
    seen = states(loaded, progress, ids, embedding=True, share=(0.0, 0.5)).vectors[0]
    with loaded.busy():
        words = _words(loaded, asked_)
        found = _read_all(loaded, seen, words, seed, progress)
    return _result(loaded, asked_, words, seed, found)


def _check(loaded: Loaded) -> None:
    if loaded.kind != "decoder":
        raise Error(
            f"{loaded.name} is an {loaded.kind}: behind a prompt it says no next token, so the "
            "lens over many prompts is not defined"
        )
    if loaded.head is None:
        raise Error(f"{loaded.name} has no head for predictions, so there is no lens")


@dataclass(frozen=True)
class _Asked:
    name: str
    about: str
    texts: tuple[str, ...]
    answers: tuple[str, ...]
    tracked: tuple[tuple[str, tuple[str, ...]], ...]


def _asked(
    task: str, labelled: Any, texts: Sequence[str], answers: Sequence[str], tracked: Sequence[Any]
) -> _Asked:
    """The prompts of a question. Raises `Error` on what does not fit together."""
    if bool(task) + bool(labelled) + bool(texts) != 1:
        raise Error("give task=, or labelled=, or texts=, one of them")
    lists = [_list(one) for one in tracked]
    if task:
        if answers:
            raise Error(f"task {task[:40]!r} has its own answers; leave answers= out")
        one = prompts(task)
        return _Asked(task, one.about, one.texts, one.answers, (*one.tracked, *lists))
    name, about, said = "own prompts", "", tuple(texts)
    if labelled:
        given = asked_set(asked(labelled), "", (), (), None, ())
        name, about, said = given.name, given.about, given.texts
        if len(answers) == len(given.classes) != len(said):
            answers = [answers[label] for label in given.labels]
    if isinstance(texts, str) or isinstance(answers, str):
        raise Error("texts= and answers= are lists of texts")
    if not 2 <= len(said) <= MOST_PROMPTS:
        raise Error(f"the lens over many prompts reads 2 to {MOST_PROMPTS:,}, not {len(said):,}")
    if answers and len(answers) != len(said):
        raise Error(
            f"{len(said):,} prompts and {len(answers):,} answers; give one each, or one a class of "
            "the labelled set"
        )
    return _Asked(name, about, said, tuple(answers), tuple(lists))


def _list(one: Any) -> tuple[str, tuple[str, ...]]:
    fits = not isinstance(one, str) and len(one) == 2 and isinstance(one[0], str)
    if not fits or isinstance(one[1], str) or not one[1]:
        raise Error("tracked= is a list of (name, list of words)")
    return one[0], tuple(one[1])


@dataclass(frozen=True)
class _Words:
    """Token ids: lists[tracked][prompt], candidates[candidate]; answer [prompt] its candidate."""

    lists: list[list[list[int]]]
    candidates: list[list[int]]
    names: tuple[str, ...]
    answer: np.ndarray
    notes: tuple[str, ...]


def _words(loaded: Loaded, given: _Asked) -> _Words:
    if len(given.tracked) > MOST_TRACKED:
        raise Error(f"{len(given.tracked)} lists of words; at most {MOST_TRACKED} are followed")
    n, notes = len(given.texts), []
    lists = []
    for name, words in given.tracked:
        firsts = [_firsts(loaded, word) for word in words]
        if len(words) == n:
            lists.append(firsts)
        else:
            lists.append([sorted({i for each in firsts for i in each})] * n)
            notes.append(f"{name}: {len(words)} words together at every prompt")
    torn = 0
    for place in range(n if len(lists) > 1 else 0):
        each = [set(one[place]) for one in lists]
        twice = {
            i for row, mine in enumerate(each) for other in each[row + 1 :] for i in mine & other
        }
        torn += bool(twice)
        for row, one in enumerate(lists):
            lists[row] = [
                *one[:place],
                [i for i in one[place] if i not in twice],
                *one[place + 1 :],
            ]
    if torn:
        notes.append(f"tokens that two lists share are in neither of them ({torn} prompts)")
    names = tuple(dict.fromkeys(given.answers))
    candidates = [_firsts(loaded, name) for name in names]
    known: dict[tuple[int, ...], str] = {}
    for name, own in zip(names, candidates, strict=True):
        if (other := known.setdefault(tuple(own), name)) != name:
            notes.append(f"{other!r} and {name!r} begin with the same token")
    answer = np.array([names.index(one) for one in given.answers], dtype=np.int64)
    return _Words(lists, candidates, names, answer, tuple(notes))


def _firsts(loaded: Loaded, word: str) -> list[int]:
    """The first tokens of a word at the start of a text and behind a blank."""
    if not isinstance(word, str) or not word.strip():
        raise Error("an answer or a word to follow is empty; write it out")
    plain = word.strip()
    return sorted({word_ids(loaded, plain)[0], word_ids(loaded, f" {plain}")[0]})


def _read_all(
    loaded: Loaded, seen: Tensor, words: _Words, seed: int, progress: Progress
) -> dict[str, np.ndarray]:
    """Every layer's reading, and that of random states; arrays [layer, ...]."""
    n_layers, n = seen.shape[:2]
    size = max(1, LOGITS_AT_ONCE // loaded.d_vocab)
    rows: list[list[dict[str, np.ndarray]]] = [[] for _ in range(n_layers)]
    for start in range(0, n, size):
        part = slice(start, min(n, start + size))
        final = log_probabilities(unembed(loaded, seen[-1, part].to(loaded.device)))
        for layer in range(n_layers):
            progress.step(0.5 + 0.5 * (start + size * layer / n_layers) / (n + size), "lens")
            state = seen[layer, part].to(loaded.device)
            own = _reading(loaded, state, final, words, part)
            noise = _reading(loaded, _noise(state, seed, layer, start), final, words, part)
            kept = ("entropy", "agrees", "final_probability", "share")
            rows[layer].append(own | {f"random_{name}": noise[name] for name in kept})
    parts = [
        {name: np.concatenate([each[name] for each in row]) for name in row[0]} for row in rows
    ]
    return {name: np.stack([one[name] for one in parts]) for name in parts[0]}


def _noise(state: Tensor, seed: int, layer: int, start: int) -> Tensor:
    """Random states of the same lengths."""
    generator = torch.Generator().manual_seed((seed * 1_000 + layer) * 10_000 + start)
    noise = torch.randn(state.shape, generator=generator).to(state)
    length = torch.linalg.vector_norm(state, dim=-1, keepdim=True)
    return noise / torch.linalg.vector_norm(noise, dim=-1, keepdim=True) * length


def _reading(
    loaded: Loaded, state: Tensor, final: Tensor, words: _Words, part: slice
) -> dict[str, np.ndarray]:
    """One layer at some prompts, prompt axis first."""
    log_p = log_probabilities(unembed(loaded, state))
    choice = final.argmax(dim=-1, keepdim=True)
    own = log_p.gather(1, choice)
    p = log_p.exp()
    places = range(part.start, part.stop)
    share = [[float(p[row, one[at]].sum()) for one in words.lists] for row, at in enumerate(places)]
    chosen = (
        torch.stack([p[:, each].sum(dim=1) for each in words.candidates], dim=1)
        if len(words.candidates)
        else p[:, :0]
    )
    found = {
        "final": choice[:, 0],
        "entropy": entropy(log_p),
        "kl": divergence(final, log_p),
        "agrees": (log_p.argmax(dim=-1) == choice[:, 0]).float(),
        "top_probability": p.max(dim=-1).values,
        "final_rank": (log_p > own).sum(dim=-1),
        "final_probability": own.exp()[:, 0],
        "candidate": chosen,
    }
    arrays = {name: values.cpu().numpy() for name, values in found.items()}
    arrays["share"] = np.array(share, dtype=np.float32).reshape(len(places), len(words.lists))
    arrays["answer_rank"] = _answer_rank(log_p, words, places)
    return arrays


def _answer_rank(log_p: Tensor, words: _Words, places: range) -> np.ndarray:
    if not len(words.answer):
        return np.full(len(places), np.nan)
    best = torch.stack(
        [log_p[row, words.candidates[words.answer[at]]].max() for row, at in enumerate(places)]
    )
    found: np.ndarray = (log_p > best[:, None]).sum(dim=-1).cpu().numpy().astype(float)
    return found


def _early(
    candidate: np.ndarray, answer: np.ndarray, seed: int
) -> dict[str, np.ndarray]:  # fmt: skip
    """Choosing among the candidates [layer, prompt, candidate] at every layer."""
    n_layers, n, _ = candidate.shape
    if not len(answer):
        missing = np.full(n_layers, np.nan)
        return {
            "answer_probability": np.full((n_layers, n), np.nan),
            "exit_accuracy": missing,
            "exit_low": missing,
            "exit_high": missing,
            "control_exit_accuracy": np.full((SHUFFLES, n_layers), np.nan),
            "control_answer_probability": missing,
        }
    rng = np.random.default_rng((seed, 6))
    mixed = np.stack([rng.permutation(answer) for _ in range(SHUFFLES)])
    choice, rows = candidate.argmax(axis=2), np.arange(n)
    accuracy = (choice == answer).mean(axis=1)
    ends = np.array([wilson(float(share), n) for share in accuracy])
    return {
        "answer_probability": candidate[:, rows, answer],
        "exit_accuracy": accuracy,
        "exit_low": ends[:, 0],
        "exit_high": ends[:, 1],
        "control_exit_accuracy": (choice[None] == mixed[:, None]).mean(axis=2),
        "control_answer_probability": np.mean(
            [candidate[:, rows, one].mean(1) for one in mixed], 0
        ),
    }


def _result(
    loaded: Loaded, given: _Asked, words: _Words, seed: int, found: dict[str, np.ndarray]
) -> LensDepth:
    agrees = found["agrees"] > 0
    wrong = ~agrees[::-1]
    # Rows from the end that all agree; the last one does by definition.
    steady = np.where(wrong.any(axis=0), wrong.argmax(axis=0), len(agrees))
    arrays = {name: found[name] for name in (*_READ, "answer_rank")}
    arrays |= _early(found["candidate"], words.answer, seed)
    arrays["decided"] = len(agrees) - steady
    arrays["share"] = np.moveaxis(found["share"], -1, 0)
    arrays["random_share"] = found["random_share"].mean(axis=1).T
    arrays["random_agreement"] = found["random_agrees"].mean(axis=1)
    for name in ("entropy", "final_probability"):
        arrays[f"random_{name}"] = found[f"random_{name}"].mean(axis=1)
    return LensDepth(
        request={},
        task=given.name,
        about=given.about,
        seed=seed,
        sites=stream_names(loaded),
        prompts=given.texts,
        answers=given.answers,
        candidates=words.names,
        finals=pieces(loaded, found["final"][-1].tolist()),
        tracked=tuple(name for name, _ in given.tracked),
        notes=words.notes,
        n_shuffles=SHUFFLES,
        **{name: np.ascontiguousarray(values, "float32") for name, values in arrays.items()},
    )
