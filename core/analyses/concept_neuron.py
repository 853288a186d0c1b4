"""Concept neurons found by what they write and tested with noise, after "Intrinsic Evaluation of
Unlearning Using Parametric Knowledge Traces" (ConceptVectors; Hong et al. 2024).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.likeness import bleu, rouge_l
from core.analyses.neuron_search import neuron_search
from core.analyses.neuron_sets import LEAST_LOSS, texts_of
from core.analyses.runs import Progress, log_probabilities
from core.analyses.token_neurons import written
from core.engine.forward import run
from core.engine.generate import generate
from core.engine.loss import refuse_without_next_tokens
from core.engine.rows import repeated, rows
from core.engine.units import Rewrite, rewritten, unit_map
from core.engine.writes import neuron_writes, write_matrix
from core.models.loaded import Loaded
from core.models.tokens import decode, encode, pieces
from core.results.concept_neuron import VERDICTS, ConceptNeuron
from core.results.neuron_search import NeuronSearch
from core.spec.claims import subject
from core.spec.errors import Error
from core.spec.site import Site, site

NEAREST = 64  # neurons whose write vectors are most nearly as long: random ones come from these
MOST_QUESTIONS = 200
MOST_UNITS = 200  # rows of one batch: candidates and controls, times draws
N_WRITTEN = 8


@dataclass(frozen=True)
class _Unit:
    """A neuron under test: its place, and the noise on its write vector, [draw, d_model]."""

    place: Site
    noise: Tensor


def concept_neuron(
    loaded: Loaded,
    progress: Progress,
    *,
    concept: str = "",
    words: Sequence[str] = (),
    questions: Sequence[str] = (),
    controls: Sequence[str] = (),
    at: str = "",
    template: str = "{}",
    candidates: int = 4,
    noise: float = 5.0,
    sigma: float = 0.0,
    draws: int = 3,
    n_random: int = 12,
    new_tokens: int = 8,
    seed: int = 0,
) -> ConceptNeuron:
    """Do answers about a concept, and no others, depend on what a neuron writes?

    concept     a name; of a built-in subject ("capitals") it brings words and questions
    words       what the neuron should write; `questions`, `controls`: prompts
    at          site text of one neuron to test instead of the best `candidates`
    template    around every question, for example "Question: {}\\n Answer:"
    noise       standard deviation of the Gaussian noise in root mean squares of the vector's own
                entries; `sigma` above 0 gives it in weight units instead (the paper: 0.1)
    The noise stands on the write vector for the length of a run; no weight is touched. Verdict by
    the loss of the clean greedy answer (to its first full stop): specific when it rises more than
    under every random neuron, and more on the concept's questions than on the controls.
    """
    refuse_without_next_tokens(loaded, "what answers depend on")
    unit_map(loaded, 0)
    words, asked, on_concept = _asked(concept, words, questions, controls, template)
    _check(candidates, draws, n_random, noise, sigma)
    search = neuron_search(
        loaded, progress, words=words, concept=concept or words[0], k=1 if at else candidates
    )
    places = [_own(loaded, at)] if at else _best(search)
    score = np.array([search.score[place.layer, place.unit] for place in places])
    units = _units(loaded, places, n_random, noise, sigma, draws, seed)
    measured = _measured(loaded, progress, asked, units, new_tokens)
    found = _specificity(measured["loss"], on_concept, seed)
    n = len(places)
    return ConceptNeuron(
        request={},
        concept=concept.strip()[:100] or ", ".join(words[:3]),
        words=tuple(words),
        sites=tuple(str(place) for place in places),
        control_sites=tuple(str(unit.place) for unit in units[n:]),
        writes=_written(loaded, places, score),
        verdict=tuple(_verdict(found["rise"], found["low"], place, n) for place in range(n)),
        notes=search.notes,
        questions=tuple(asked),
        n_draws=draws,
        least=LEAST_LOSS,
        score=score,
        chance=np.array(search.chance),
        on_concept=on_concept,
        **_noise(units, noise, sigma),
        **measured,
        **found,
    )


def _asked(
    concept: str,
    words: Sequence[str],
    questions: Sequence[str],
    controls: Sequence[str],
    template: str,
) -> tuple[list[str], list[str], np.ndarray]:
    """(words, prompts, which are about the concept), completed from the built-in subjects."""
    known = subject(concept)
    words = list(words or (known.words if known else ()))
    if not words:
        raise Error(
            f"no words are known for {concept[:40]!r}; give words= that the neuron should write, "
            "or one of the built-in subjects, for example 'capitals'"
        )
    on = texts_of(questions or (known.questions if known else ()), "the questions on the concept")
    off = texts_of(controls or (known.controls if known else ()), "the control questions")
    if len(on) + len(off) > MOST_QUESTIONS:
        raise Error(f"{len(on) + len(off)} questions; at most {MOST_QUESTIONS} are asked")
    if min(len(on), len(off)) < 3:
        raise Error("give at least 3 questions on the concept and 3 control questions")
    if template.count("{}") != 1:
        raise Error(f"the template {template[:40]!r} needs {{}} exactly once, for the question")
    prompts = [template.replace("{}", text) for text in (*on, *off)]
    return words, prompts, np.arange(len(prompts)) < len(on)


def _check(candidates: int, draws: int, n_random: int, noise: float, sigma: float) -> None:
    if min(candidates, draws, n_random) < 1:
        raise Error("candidates, draws and n_random are at least 1")
    if (candidates + n_random) * draws > MOST_UNITS:
        raise Error(
            f"{candidates} candidates and {n_random} random neurons times {draws} draws are too "
            f"many; together at most {MOST_UNITS}"
        )
    if not (noise > 0 and sigma >= 0):
        raise Error("the noise is a number above 0, sigma 0 or above")


def _own(loaded: Loaded, at: str) -> Site:
    place = site(at)
    if place.component != "neuron" or place.unit is None:
        raise Error(f"{at[:40]!r} is no single neuron; write for example 'L5.neuron[1203]'")
    loaded.check(place)
    return Site(place.layer, "neuron", place.unit)


def _best(search: NeuronSearch) -> list[Site]:
    pairs = zip(search.layer.tolist(), search.neuron.tolist(), strict=True)
    return [Site(layer, "neuron", unit) for layer, unit in pairs]


def _units(
    loaded: Loaded,
    places: Sequence[Site],
    n_random: int,
    noise: float,
    sigma: float,
    draws: int,
    seed: int,
) -> list[_Unit]:
    """The candidates and then their controls, each with its own noise."""
    generator = torch.Generator().manual_seed(seed)
    others = _controls(loaded, places, n_random, generator)
    units = []
    for place in (*places, *others):
        vector = write_matrix(loaded, place)[place.unit]
        size = sigma or noise * float(vector.square().mean().sqrt())
        drawn = torch.randn(draws, loaded.d_model, generator=generator)
        units.append(_Unit(place, (size * drawn).to(vector)))
    return units


def _noise(units: Sequence[_Unit], noise: float, sigma: float) -> dict[str, Any]:
    """What was asked for, and what was drawn, as fields of the result."""
    return {
        "noise": 0.0 if sigma else float(noise),
        "sigma": float(sigma),
        "deviation": np.array([float(unit.noise.std()) for unit in units]),
    }


def _controls(
    loaded: Loaded, places: Sequence[Site], n: int, generator: torch.Generator
) -> list[Site]:
    """Random neurons of the candidates' layers in turn, with write vectors nearly as long."""
    taken = set(places)
    found: list[Site] = []
    for number in range(n):
        like = places[number % len(places)]
        norms = torch.linalg.vector_norm(write_matrix(loaded, like), dim=-1)
        near = (norms - norms[like.unit]).abs().argsort()[: NEAREST + len(taken)]
        free = [place for unit in near.tolist() if (place := _in(like, unit)) not in taken]
        if not free:
            break
        pick = free[int(torch.randint(len(free), (1,), generator=generator))]
        found.append(pick)
        taken.add(pick)
    return found


def _in(like: Site, unit: int) -> Site:
    return Site(like.layer, "neuron", unit, stack=like.stack)


def _measured(
    loaded: Loaded,
    progress: Progress,
    asked: Sequence[str],
    units: Sequence[_Unit],
    new_tokens: int,
) -> dict[str, Any]:
    """loss, rouge and bleu [unit, draw, question]; answers clean and under the first noise."""
    draws = len(units[0].noise)
    edits = [
        [Rewrite(unit.place.layer, int(unit.place.unit or 0), delta)]
        for unit in units
        for delta in unit.noise
    ]
    shape = (len(asked), len(units), draws)
    loss, rouge, likeness = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    answers, noised = [], []
    for number, text in enumerate(asked):
        progress.step(0.1 + 0.9 * number / len(asked), f"question {number + 1} of {len(asked)}")
        ids = encode(loaded, text)
        prompt = rows(loaded, [ids])
        clean = _answer(
            loaded, generate(loaded, prompt, max_new_tokens=new_tokens, check=progress.check).ids[0]
        )
        answers.append(decode(loaded, clean).strip())
        if not clean:
            noised.append("")
            continue
        loss[number] = _losses(loaded, progress, ids, clean, edits).reshape(shape[1:])
        with rewritten(loaded, edits):
            texts = generate(
                loaded, prompt, [[]] * len(edits), max_new_tokens=new_tokens, check=progress.check
            ).ids
        own = [_answer(loaded, each) for each in texts]
        noised.append(decode(loaded, own[0]).strip())
        rouge[number] = np.reshape([rouge_l(each, clean) for each in own], shape[1:])
        likeness[number] = np.reshape([bleu(each, clean) for each in own], shape[1:])
    order = (1, 2, 0)
    return {
        "answers": tuple(answers),
        "noised": tuple(noised),
        "loss": loss.transpose(order),
        "rouge": rouge.transpose(order),
        "bleu": likeness.transpose(order),
    }


def _answer(loaded: Loaded, ids: Sequence[int]) -> list[int]:
    """The tokens of an answer: up to its first full stop or line, that sign left out."""
    found: list[int] = []
    for token, piece in zip(ids, pieces(loaded, ids), strict=True):
        if found and ("." in piece or "\n" in piece):
            break
        found.append(token)
    return found


def _losses(
    loaded: Loaded,
    progress: Progress,
    ids: Sequence[int],
    answer: Sequence[int],
    edits: Sequence[Sequence[Rewrite]],
) -> np.ndarray:
    """By how much each row's edits raise the mean loss of the clean answer, [row] in nats."""
    text = repeated(rows(loaded, [[*ids, *answer[:-1]]]), 1 + len(edits))
    asked = list(range(len(ids) - 1, len(ids) + len(answer) - 1))
    with rewritten(loaded, [[], *edits]):
        logits = run(loaded, text, logits=asked, check=progress.check).logits
    assert logits is not None
    wanted = torch.tensor(list(answer), device=logits.device)
    picked = log_probabilities(logits).gather(2, wanted.expand(len(logits), -1)[..., None])
    lost = -picked[..., 0].mean(dim=1).double().cpu().numpy()
    return lost[1:] - lost[0]


def _specificity(
    loss: np.ndarray, on: np.ndarray, seed: int, repeats: int = 1_000
) -> dict[str, Any]:
    """Mean rise on and off the concept [unit, 2], their ratio [unit], and 95 % intervals."""
    mean = loss.mean(axis=1)  # [unit, question]
    drawn = np.random.default_rng(seed)
    rises = []
    for chosen in (np.flatnonzero(on), np.flatnonzero(~on)):
        picked = drawn.choice(chosen, (repeats, len(chosen)))
        rises.append(mean[:, picked].mean(axis=2))  # [unit, repeat]
    rise = np.stack([mean[:, on].mean(axis=1), mean[:, ~on].mean(axis=1)], axis=1)
    edges = np.quantile(np.stack(rises), (0.025, 0.975), axis=2)  # [end, kind, unit]
    ratio = np.quantile(_ratio(*rises), (0.025, 0.975), axis=1)
    return {
        "rise": rise,
        "rise_low": edges[0].T,
        "rise_high": edges[1].T,
        "ratio": _ratio(rise[:, 0], rise[:, 1]),
        "low": ratio[0],
        "high": ratio[1],
    }


def _ratio(on: np.ndarray, off: np.ndarray) -> np.ndarray:
    ratio: np.ndarray = on / np.maximum(off, LEAST_LOSS)
    return ratio


def _verdict(rise: np.ndarray, low: np.ndarray, place: int, n: int) -> str:
    """One of `VERDICTS` for a candidate; units from n on are the random neurons."""
    most = float(rise[n:, 0].max()) if len(rise) > n else 0.0
    if rise[place, 0] <= max(most, LEAST_LOSS):
        return VERDICTS[2]
    return VERDICTS[0] if low[place] > 1 else VERDICTS[1]


def _written(
    loaded: Loaded, places: Sequence[Site], score: np.ndarray
) -> tuple[tuple[str, ...], ...]:
    """The tokens each candidate writes at the end where the words are."""
    with loaded.busy():
        vectors = [neuron_writes(loaded, place.layer)[place.unit] for place in places]
        signs = [-1.0 if one < 0 else 1.0 for one in score]
        turned = [sign * vector for sign, vector in zip(signs, vectors, strict=True)]
        return written(loaded, torch.stack(turned), N_WRITTEN)[0]
