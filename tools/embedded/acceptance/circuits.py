"""Rows 13 to 16, 31 and 32: heads that look back, heads that copy, heads that count, and what
patching moves.
"""

from __future__ import annotations

from random import Random

import torch
from torch import Tensor

from core.corpus.world.words import COUNTRIES, DAYS, MONTHS, NOUNS, NUMBERS
from tools.embedded.acceptance.behaviour import at_least
from tools.embedded.acceptance.rows import Row
from tools.embedded.head_scores import copy_gain, patterns, random_repeats, repeat_scores
from tools.embedded.reading import Reader
from tools.embedded.settings import BEGIN

LENGTH = 40
INDUCTION_HEADS = 4  # switched off together in row 31
PREVIOUS_HEADS = 3


def noun_repeats(reader: Reader, rows: int, length: int) -> Tensor:
    rng = Random(5)
    drawn = [[reader.first_piece(word) for word in rng.sample(NOUNS, length)] for _ in range(rows)]
    return torch.tensor([[BEGIN, *one, *one] for one in drawn])


def head_table(reader: Reader) -> tuple[Tensor, Tensor]:
    """Previous-token and induction score [layer, head] on random pieces repeated once."""
    return repeat_scores(patterns(reader.model, random_repeats(16, LENGTH, seed=3)), LENGTH)


def best(scores: Tensor) -> str:
    layer, head = divmod(int(scores.argmax()), scores.shape[1])
    return f"L{layer}.head[{head}]"


def strongest(scores: Tensor, count: int) -> list[tuple[int, int]]:
    return [divmod(int(place), scores.shape[1]) for place in scores.flatten().topk(count).indices]


@torch.no_grad()
def successor_scores(reader: Reader, words: tuple[str, ...], cyclic: bool) -> Tensor:
    """Share of words [layer, head] whose successor is what the head's output circuit writes most of
    all `words`.

    The word's state in front of the block goes through the head's value and output matrices and the
    unembedding.
    """
    pieces = torch.tensor([reader.first_piece(word) for word in words])
    states = reader.states(torch.stack([torch.full_like(pieces, BEGIN), pieces], 1))[:, :, 1]
    right = (torch.arange(len(words)) + 1) % len(words)
    asked = slice(None) if cyclic else slice(0, -1)
    unembed = reader.embedding.weight[pieces] * reader.final_norm.weight
    table = torch.zeros(reader.layers, reader.heads)
    for layer, block in enumerate(reader.blocks):
        value = head_values(
            reader, layer, block.input_layernorm(states[layer])
        )  # [word, head, d_head]
        out = reader.attention(layer)[1].weight.view(reader.width, reader.heads, -1)
        written = torch.einsum("whd,mhd->hwm", value, out)
        choice = (written @ unembed.T).argmax(-1)
        table[layer] = (choice == right)[:, asked].float().mean(-1)
    return table


def head_values(reader: Reader, layer: int, normed: Tensor) -> Tensor:
    """What each head would carry from a normed state: [word, head, d_head]."""
    module, _ = reader.attention(layer)
    if hasattr(module, "v_proj"):
        return module.v_proj(normed).view(len(normed), reader.heads, -1)
    return module.query_key_value(normed).view(len(normed), reader.heads, 3, -1)[:, :, 2]


def list_prompts(count: int) -> list[tuple[str, str]]:
    """A five-word list and its copy up to the second word; the third word is the answer."""
    rng = Random(31)
    drawn = [rng.sample(NOUNS, 5) for _ in range(count)]
    return [(f"List: {' '.join(words)}. Again: {words[0]} {words[1]}", words[2]) for words in drawn]


def copy_row(reader: Reader) -> Row:
    """Row 31: the list copy without the heads that make it, and without as many others."""
    from tools.embedded.acceptance.behaviour import accuracy

    previous, induction = head_table(reader)
    prompts = list_prompts(60)
    inducing, looking = strongest(induction, INDUCTION_HEADS), strongest(previous, PREVIOUS_HEADS)
    values = {"whole": accuracy(reader, prompts)}
    with reader.without_heads(inducing):
        values["without induction heads"] = accuracy(reader, prompts)
    with reader.without_heads(looking):
        values["without previous-token heads"] = accuracy(reader, prompts)
    rng, shares = Random(0), []
    for _ in range(8):
        others = []
        for layer, _ in inducing:
            free = [
                (layer, other)
                for other in range(reader.heads)
                if (layer, other) not in (*inducing, *looking, *others)
            ]
            others += [rng.choice(free)] if free else []
        with reader.without_heads(others):
            shares.append(accuracy(reader, prompts))
    values["without as many others"] = sum(shares) / len(shares)
    return Row(
        31,
        "third word of a repeated list (60)",
        values,
        {
            "whole": (">=", 0.95),
            "without induction heads": ("<=", 0.2),
            "without previous-token heads": ("<=", 0.6),
            "without as many others": (">=", 0.9),
        },
        note=f"induction heads {named(inducing)}; previous-token heads {named(looking)}",
    )


def named(heads: list[tuple[int, int]]) -> str:
    return ", ".join(f"L{layer}.head[{head}]" for layer, head in heads)


@torch.no_grad()
def patch_row(reader: Reader) -> Row:
    """Row 32: the state of the country token replaced by another country's; share of answers that
    follow it.
    """
    rows = [row for row in COUNTRIES if len(reader.ids(f"The capital of {row[0]} is")) == 6]
    prompts = torch.tensor([reader.ids(f"The capital of {row[0]} is") for row in rows])
    cities = torch.tensor([reader.first_piece(row[1]) for row in rows])
    clean = reader.states(prompts)
    moved = {}
    for layer in range(reader.layers + 1):
        hits = []
        for shift in (1, 7, 13):
            donor = clean[layer, :, 4].roll(shift, 0)

            def put(state: Tensor, donor=donor) -> Tensor:
                state = state.clone()
                state[:, 4] = donor
                return state

            with reader.changed(layer, put):
                said = reader.model(prompts).logits[:, -1].argmax(-1)
            hits.append((said == cities.roll(shift, 0)).float().mean())
        moved[layer] = torch.stack(hits).mean().item()
    values = {f"after block {layer}": share for layer, share in moved.items()}
    return Row(
        32,
        "country state replaced: share of capitals that move, by block (0: embedding)",
        values,
        {"after block 0": (">=", 0.9), f"after block {reader.layers}": ("<=", 0.1)},
        {
            "after block 1": (">=", 0.9),
            "after block 2": (">=", 0.9),
            "after block 3": (">=", 0.9),
            f"after block {reader.layers - 1}": ("<=", 0.1),
        },
    )


def rows(reader: Reader) -> list[Row]:
    previous, induction = head_table(reader)
    nouns = repeat_scores(patterns(reader.model, noun_repeats(reader, 16, 12)), 12)[1]
    heads = {"random pieces": induction.max().item(), "nouns": nouns.max().item()}
    gain = copy_gain(reader.model, random_repeats(16, LENGTH, seed=3), LENGTH)
    successors = {
        "days": successor_scores(reader, DAYS, True),
        "months": successor_scores(reader, MONTHS, True),
        "numbers": successor_scores(reader, NUMBERS[1:13], False),
    }
    return [
        Row(
            13,
            "best previous-token head",
            {"score": previous.max().item()},
            at_least(0.9, "score"),
            note=best(previous),
        ),
        Row(
            14,
            "best induction head: random pieces (40, repeated once), 12 nouns repeated",
            heads,
            {"random pieces": (">=", 0.45), "nouns": (">=", 0.75)},
            {"random pieces": (">=", 0.7), "nouns": (">=", 0.9)},
            note=f"{best(induction)}, {best(nouns)}",
        ),
        Row(
            15,
            "loss on random pieces, first copy minus second, nats",
            {"gain": gain},
            at_least(5, "gain"),
        ),
        Row(
            16,
            "successor by the output circuit of the best head",
            {name: scores.max().item() for name, scores in successors.items()},
            {},
            at_least(0.9, *successors),
            note=", ".join(best(scores) for scores in successors.values()),
        ),
        copy_row(reader),
        patch_row(reader),
    ]
