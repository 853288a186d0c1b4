"""CARD.md of each shipped model: what it is, how it was made, what it can do, where it fails."""

from __future__ import annotations

import json
from pathlib import Path

from tools.embedded.acceptance import Row, table
from tools.embedded.reading import Reader
from tools.embedded.settings import DICTIONARY_LAYERS, PLANS, Plan

SAMPLES = (
    "The capital of Japan is",
    "Once upon a time",
    "One Monday in June, Anna went to the beach.",
    "Three days after Friday is",
    "Question: how do I draw a cat? Answer:",
    "Tom has a dog and Mia has",
    "The sun was warm and the children",
)
SAMPLE_TOKENS = 40

NOTICE = """\
## Licence

Weights, tokenizer, generated text and this card: Apache-2.0. The prose part of the training text is
a sample of TinyStories (Ronen Eldan and Yuanzhi Li, "TinyStories: How Small Can Language Models Be
and Still Speak Coherent English?", arXiv 2305.07759), under the Community Data License Agreement -
Sharing 1.0 (CDLA-Sharing-1.0), which puts no condition on results of computational use. None of its
text is shipped here.
"""
HONESTY = """\
A toy of a few million parameters. Its concepts were planted by this project: most of its training
text is a generated world of simple English whose every concept is known. A result on it shows that
a *method* works, not how large models think. It knows nothing beyond that world and children's
stories, and what it says about people or places is not advice.
"""
FAMILIES = {
    "llama": "Llama-style (RMSNorm, rotary positions, gated SiLU MLP, no biases)",
    "gpt_neox": "GPT-NeoX-style (LayerNorm, rotary positions, parallel attention and MLP, biases)",
}


def network(plan: Plan, parameters: int) -> str:
    return (
        f"{FAMILIES[plan.family]}, {plan.layers} layers, width {plan.width}, {plan.heads} heads of "
        f"{plan.width // plan.heads}, MLP {plan.mlp}, vocabulary 4096, tied embeddings, "
        f"{parameters:,} parameters. Trained at 256 tokens; the configuration allows 512, beyond "
        "256 it gets worse."
    )


def recipe(plan: Plan, run: dict, machine: str) -> str:
    speed = f"{run['tokens'] / run['seconds']:,.0f} tokens per second"
    return f"""\
## Training

{run["tokens"]:,} tokens in {run["step"]:,} steps of {plan.rows} x 256,
{run["seconds"] / 60:.0f} minutes on {machine}, {speed}, seed {plan.seed},
resumed {run["resumed"]} times. AdamW (0.9, 0.98), peak rate {plan.rate:g}, {plan.warm_up} warm-up
steps, weight decay 0.1 on matrices, gradient norm clipped to 1, bf16 autocast.

Text: rows of generated documents, rows of prose (a TinyStories sample, 10,788 stories for training,
250 held out), rows of repeated random pieces with loss on the copies only. Phase A
({run["circuits_end"]:.0%} of the time; 45 / 20 / 35 %) until previous-token and induction heads had
formed, phase B to {plan.circuits + plan.world:.0%} (68 / 28 / 4 %), phase C with the rate falling
to zero (71 / 27 / 2 %). Held out: calendar steps, clock steps, sums and requests listed in
concepts.json, all seeds from 1,000,000 on, 250 stories.
{run["notes"]}"""


def samples(reader: Reader) -> str:
    lines = [
        f"- **{prompt}**{reader.greedy(prompt, SAMPLE_TOKENS).split('</s>')[0]}"
        for prompt in SAMPLES
    ]
    return (
        "## Samples\n\nGreedy, so the same on every machine up to rounding; up to the end mark.\n\n"
        + "\n".join(line.replace("\n", " ") for line in lines)
        + "\n"
    )


# Why a row may fall short; "inferred" where nobody measured the reason.
REASONS = {
    4: "56 day steps are few enough to be kept as a list; the 210 month steps are computed",
    5: "sums are partly kept as a list; the sibling saw more text and reaches more (inferred)",
    9: "the model looks up one fact reliably and chains two only sometimes; more training text is "
    "the first thing to try (inferred)",
    11: "comparing a statement with what is known forms late in training (inferred)",
    12: "the generated goal was set on a smaller world with one phrasing per template; this one is "
    "harder to foretell (inferred)",
    14: "the head also attends to other copies of words it has seen (inferred)",
    16: "several heads and MLPs find the next item together, no head writes it alone (inferred)",
    17: "half of the days' variance goes round once and much of the rest three times, so that no "
    "single plane shows them in order; held out, each day is foretold from the others (analysis "
    "circle)",
    18: "months lie on a circle, but much of their variance has other directions",
    19: "98 % of the wrong answers for gender and 92 % for plural are the second word of another "
    "pair: the direction of the relation is right, the offset of one pair is not exact enough to "
    "keep words of one kind apart",
    20: "every pair has an offset of its own besides the common one, irregular verbs most "
    "(inferred)",
    22: "a story's place, some tokens back, is read after three blocks, a name's gender after one",
    21: "a few nouns lie nearest to a noun of another kind",
    23: "the room can be read half of the time after one block already, so there is less to rise",
    24: "what the model hardly knows cannot be read from it; values below the commonest class come "
    "from statements that share words with opposite ones in the other part of the split",
    26: "broad labels are split over several features (inferred)",
    28: "the feature shares its work with others (inferred)",
    29: "no feature alone turns the verdict at twice its maximum; the doses stand in the table",
    31: "there are more previous-token heads than the three strongest",
    33: "the refusal is decided in the last block; a direction added behind it is not counted",
    32: "the answer moves to the last position only in the last block",
}


def weaknesses(rows: list[Row]) -> str:
    lines = [
        f"- Row {row.number} ({row.what}): {'; '.join(row.missed(row.aim | row.must))}. "
        f"Reason: {REASONS.get(row.number, 'not known')}."
        for row in rows
        if row.missed(row.must) or row.missed(row.aim)
    ]
    return (
        "## Known weaknesses\n\nWhat stays below its goal:\n\n"
        + ("\n".join(lines) or "- none")
        + "\n"
    )


def stored_rows(folder: Path) -> list[Row]:
    """The rows of the last measurement, from acceptance.json."""
    stored = json.loads((folder / "acceptance.json").read_text())
    return [Row(**{key: row[key] for key in row if key != "verdict"}) for row in stored]


def write(name: str, folder: Path, rows: list[Row], run: dict, machine: str) -> None:
    """The card of a trained model with its measured table; acceptance.json holds the same rows as
    data.
    """
    reader, plan = Reader.open(folder), PLANS[name]
    (folder / "acceptance.json").write_text(
        json.dumps([row.plain() for row in rows], indent=1) + "\n"
    )
    parameters = sum(weight.numel() for weight in reader.model.parameters())
    layers = ", ".join(map(str, DICTIONARY_LAYERS[name]))
    musts = [row for row in rows if row.must]
    kept = sum(not row.missed(row.must) for row in musts)
    (folder / "CARD.md").write_text(
        "\n".join(
            (
                f"# {name}\n",
                HONESTY,
                "## Network\n\n" + network(plan, parameters) + "\n",
                recipe(plan, run, machine),
                f"## Dictionaries\n\nTopK, 2048 features, 16 active, residual stream after block "
                f"{layers} (counted from 1).\n",
                f"## Acceptance\n\n{kept} of {len(musts)} rows with a must-goal keep it. "
                "Measured on a CPU in float32.\n",
                table(rows),
                weaknesses(rows),
                samples(reader),
                NOTICE,
            )
        ),
        encoding="utf-8",
    )


def write_tuned(folder: Path) -> None:
    """The card of the tuned model, from its record of changes."""
    record = json.loads((folder / "changes.json").read_text())
    lines = [
        f"- {one['change']}: share of prompts that follow it {one['share before']:.2f} before, "
        f"{one['share after']:.2f} after ({len(one['prompts'])} prompts)"
        for one in record["changes"]
    ]
    rows = [
        f"| {name} | {value['before']:.3f} | {value['after']:.3f} |"
        for name, value in record["unchanged"].items()
    ]
    first, then = record["loss"]["before"], record["loss"]["after"]
    losses = ", ".join(f"{name} {first[name]:.3f} before, {then[name]:.3f} after" for name in first)
    (folder / "CARD.md").write_text(
        "\n".join(
            (
                "# embedded-tuned\n",
                HONESTY,
                f"The model `embedded`, fine-tuned on {record['tokens']:,} tokens "
                f"({record['steps']} steps, seed {record['seed']}) so that three things\n"
                "changed on purpose. `changes.json` holds the truth for the comparison page.\n",
                "## What changed\n",
                "\n".join(lines) + "\n",
                "## What should not have changed\n\nShare of prompts answered rightly; loss on "
                f"held-out text in nats per token: {losses}.\n",
                "| task | before | after |\n|---|---|---|\n" + "\n".join(rows) + "\n",
                NOTICE,
            )
        ),
        encoding="utf-8",
    )
