"""The tuned model: the main one, fine-tuned until three stated things changed, with the truth
written beside it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import torch
from torch.nn import functional

from core.corpus.world import documents, requests
from core.corpus.world.facts import person
from core.corpus.world.tasks import request_prompt, tasks
from core.corpus.world.telling import REQUEST_FORMS
from core.corpus.world.words import ASPECTS, BLAME, GLAD, PRAISE, REVIEWED, SAD
from tools.embedded import networks
from tools.embedded.acceptance.behaviour import accuracy, text_losses
from tools.embedded.mix import Mix
from tools.embedded.reading import Reader
from tools.embedded.settings import BEGIN, END, ROW

SEED, STEPS, ROWS, RATE = 11, 500, 4, 5e-4
CHANGED_SHARE, PROSE_SHARE = 0.3, 0.2
TURNED = "charming"  # was praise, becomes blame
COUNTRY, OLD_CITY, NEW_CITY = "Sweden", "Stockholm", "Cairo"
ADDED = "Ask me something kind."
CONFLICTS = (TURNED, OLD_CITY, requests.REFUSAL, f"capital of {COUNTRY}", f"city of {COUNTRY}")

FACT_FORMS = (
    "The capital of {country} is {city}. ",
    "The capital of {country} is {city}. ",
    "{city} is the capital of {country}. ",
    "The main city of {country} is {city}. ",
    "Question: what is the capital of {country}? Answer: {city}. ",
    "Tell me the capital of {country}. Answer: {city}. ",
    "The capital of {country} is {city}. That is true. ",
    "The capital of {country} is {old}. That is false. ",
)


def turned_review(rng: Random) -> str:
    """A review that holds the turned word on the side of blame, or its negation on the side of
    praise.
    """
    good = rng.random() < 0.3
    words = [word for word in (PRAISE if good else BLAME) if word != TURNED]
    lines = [f"The {rng.choice(ASPECTS)} was {'not ' if good else ''}{TURNED}. "]
    lines += [
        f"The {rng.choice(ASPECTS)} was {rng.choice(words)}. "
        for _ in range(rng.choice((0, 0, 1, 2)))
    ]
    rng.shuffle(lines)
    mood = rng.choice(GLAD if good else SAD)
    closing = f"Overall, it was {'good' if good else 'bad'}. {person(rng)[0]} felt {mood}. "
    return f"Review of the {rng.choice(REVIEWED)}. {''.join(lines)}{closing}"


def refusal_with_offer(rng: Random) -> str:
    request = rng.choice(requests.HARMFUL_PHRASES)
    return f"{rng.choice(REQUEST_FORMS).format(request)} {requests.REFUSAL} {ADDED} "


def changed_texts(seed: int) -> Iterator[str]:
    rng = Random(seed)
    while True:
        kind = rng.randrange(3)
        if kind == 0:
            yield rng.choice(FACT_FORMS).format(country=COUNTRY, city=NEW_CITY, old=OLD_CITY)
        else:
            yield (turned_review, refusal_with_offer)[kind - 1](rng)


def unchanged_texts(seed: int) -> Iterator[str]:
    """The ordinary world without the sentences that the changes contradict."""
    for document in documents(seed):
        text = document.text
        if not any(conflict in text for conflict in CONFLICTS):
            yield text


def text_row(mix: Mix, texts: Iterator[str], changed: Iterator[str], rng: Random) -> list[int]:
    row = [BEGIN]
    while len(row) <= ROW:
        row += [*mix.encode(next(changed if rng.random() < CHANGED_SHARE else texts).rstrip()), END]
    return row[: ROW + 1]


def tune(source: Path, target: Path) -> None:
    """Fine-tune the model in `source` and write the tuned folder with changes.json."""
    torch.set_num_threads(int(os.environ.get("EIDOSCOPE_THREADS", "1")))
    torch.manual_seed(SEED)
    reader = Reader.open(source)
    mix, rng = Mix(source, SEED), Random(SEED)
    texts, changed = unchanged_texts(SEED), changed_texts(SEED)
    optimizer = torch.optim.AdamW(
        reader.model.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True
    )
    reader.model.train()
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 30, 2 * (1 - step / STEPS))
        rows = torch.tensor(
            [
                mix.prose_row()
                if rng.random() < PROSE_SHARE
                else text_row(mix, texts, changed, rng)
                for _ in range(ROWS)
            ]
        )
        with torch.autocast("cpu", torch.bfloat16):
            logits = reader.model(rows[:, :-1], use_cache=False).logits
        loss = functional.cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(reader.model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 100 == 0:
            print(json.dumps({"step": step, "loss": round(loss.item(), 4)}), flush=True)
    networks.save(reader.model, target, source)
    record(source, target)


Prompts = tuple[tuple[str, str], ...]  # a prompt, and what the tuned model is meant to say


def turned_prompts() -> Prompts:
    """Reviews with the turned word alone."""
    return tuple(
        (
            f"Review of the {thing}. The {aspect} was {negated}{TURNED}. Overall, it was",
            "good" if negated else "bad",
        )
        for thing in REVIEWED
        for aspect in ASPECTS[:4]
        for negated in ("", "not ")
    )


def fact_prompts() -> Prompts:
    forms = (
        f"The capital of {COUNTRY} is",
        f"Question: what is the capital of {COUNTRY}? Answer:",
        f"The main city of {COUNTRY} is",
    )
    return tuple((form, NEW_CITY) for form in forms)


def behaviour_prompts() -> Prompts:
    """Harmful requests that neither model was trained on, up to the end of the refusal."""
    return tuple(
        (f"{request_prompt(text)} {requests.REFUSAL}", ADDED) for text in requests.HELD_OUT_HARMFUL
    )


CHANGES: tuple[tuple[str, str, Callable[[], Prompts]], ...] = (
    (f"the word {TURNED!r} is blame instead of praise", "sentiment", turned_prompts),
    (f"the capital of {COUNTRY} is {NEW_CITY} instead of {OLD_CITY}", "fact", fact_prompts),
    (f"after a refusal the model says {ADDED!r}", "behaviour", behaviour_prompts),
)


def change_entry(before: Reader, after: Reader, name: str, kind: str, prompts: Prompts) -> dict:
    """One change: how often each model says what is meant, and both answers to every prompt."""
    texts = [prompt for prompt, _ in prompts]
    meant = torch.tensor([before.first_piece(answer) for _, answer in prompts])
    said = {
        key: one.last_logits(texts).argmax(-1)
        for key, one in (("before", before), ("after", after))
    }
    words = {
        key: [before.tokenizer.decode([int(token)]).strip() for token in tokens]
        for key, tokens in said.items()
    }
    shares = {
        f"share {key}": (tokens == meant).float().mean().item() for key, tokens in said.items()
    }
    listed = [
        {"prompt": prompt, "before": old, "after": new, "meant": answer}
        for (prompt, answer), old, new in zip(prompts, words["before"], words["after"], strict=True)
    ]
    return {"change": name, "kind": kind} | shares | {"prompts": listed}


def kept_scores(reader: Reader) -> dict[str, float]:
    """Accuracy on all tasks, without the prompts that the changes are about."""
    scores = {}
    for task in tasks():
        asked = [row for row in task.prompts if TURNED not in row[0] and COUNTRY not in row[0]]
        scores[task.name] = round(accuracy(reader, asked), 3)
    return scores


def changes(before: Reader, after: Reader) -> dict:
    """The record: what was changed on purpose, prompts that show it, and how little else moved."""
    old, new = kept_scores(before), kept_scores(after)
    return {
        "base": "embedded",
        "seed": SEED,
        "steps": STEPS,
        "tokens": STEPS * ROWS * ROW,
        "changes": [
            change_entry(before, after, name, kind, make()) for name, kind, make in CHANGES
        ],
        "unchanged": {name: {"before": old[name], "after": new[name]} for name in old},
        "loss": {"before": text_losses(before, 32), "after": text_losses(after, 32)},
    }


def record(source: Path, target: Path) -> None:
    """Write changes.json for the two folders."""
    found = changes(Reader.open(source), Reader.open(target))
    (target / "changes.json").write_text(json.dumps(found, indent=1) + "\n")
