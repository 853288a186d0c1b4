"""demonstrations.json: prompts, a place to change, a value, and what then happens, all measured on
what is shipped.
"""

from __future__ import annotations

import json

from core.corpus.world.requests import HARMLESS_PHRASES
from core.corpus.world.tasks import request_prompt
from tools.embedded.acceptance import refusal
from tools.embedded.acceptance.circuits import (
    INDUCTION_HEADS,
    PREVIOUS_HEADS,
    head_table,
    strongest,
)
from tools.embedded.acceptance.features import DOSES, MEN, PRAISED, WOMEN, Encoded, clamp, said_with
from tools.embedded.labelling import labelled_documents
from tools.embedded.reading import Reader

TOKENS = 14
FARM = tuple(
    f"One {day} in May, Tom went to the farm. He saw the"
    for day in ("Monday", "Sunday", "Friday", "Tuesday")
)
FEATURES = (
    ("female", MEN, "she"),
    ("male", WOMEN, "he"),
    ("blame", PRAISED, "bad"),
    ("topic:beach", FARM, "sea"),
)


def strongest_feature(reader: Reader, encoded: list[Encoded], labelled, label, prompts, word):
    """The dictionary and feature that make the word likeliest at twice the feature's maximum."""
    tried = [
        (
            said_with(reader, one.dictionary, at, 2 * one.largest[at].item(), prompts[::2], word),
            one,
            at,
        )
        for one in encoded
        for at in one.features_for(labelled, label)
    ]
    return max(tried, key=lambda row: row[0])[1:]


def feature_demonstration(reader: Reader, one: Encoded, feature: int, label, prompts, word) -> dict:
    """The smallest dose that makes the word likely, with the text it then writes."""
    largest = one.largest[feature].item()
    curve = {
        dose: said_with(reader, one.dictionary, feature, dose * largest, prompts, word)
        for dose in DOSES
    }
    dose = next((dose for dose, value in curve.items() if value >= 0.5), max(curve, key=curve.get))
    before = reader.greedy(prompts[0], TOKENS)
    with reader.changed(one.dictionary.layer, clamp(one.dictionary, feature, dose * largest)):
        after = reader.greedy(prompts[0], TOKENS)
    return {
        "name": f"hold {label}",
        "kind": "clamp",
        "prompt": prompts[0],
        "site": f"{one.dictionary.site}.feature[{one.name}:{feature}]",
        "value": dose * largest,
        "dose": dose,
        "word": word,
        "curve": {str(k): round(v, 4) for k, v in curve.items()},
        "before": before,
        "after": after,
    }


def feature_demonstrations(reader: Reader) -> list[dict]:
    labelled = labelled_documents(reader)
    folders = sorted((reader.folder / "sae").iterdir())
    encoded = [Encoded(reader, folder, labelled) for folder in folders]
    made = []
    for label, prompts, word in FEATURES:
        one, feature = strongest_feature(reader, encoded, labelled, label, prompts, word)
        made.append(feature_demonstration(reader, one, feature, label, prompts, word))
    return made


def refusal_demonstration(reader: Reader) -> dict:
    row = refusal.row(reader)
    layer = int(row.note.split("after block ")[1].split(":")[0])
    direction = refusal.directions(reader)[layer]
    prompt = request_prompt(next(iter(HARMLESS_PHRASES)))
    before = reader.greedy(prompt, TOKENS)
    with reader.changed(layer, lambda state: state + 2 * direction):
        after = reader.greedy(prompt, TOKENS)
    return {
        "name": "add the refusal direction",
        "kind": "add",
        "prompt": prompt,
        "site": f"L{layer - 1}.resid_post",
        "coefficient": 2.0,
        "direction": [round(value, 5) for value in direction.tolist()],
        "curve": row.note,
        "before": before,
        "after": after,
    }


def head_demonstration(reader: Reader) -> dict:
    previous, induction = head_table(reader)
    heads = strongest(induction, INDUCTION_HEADS)
    prompt = "List: dog apple hat piano. Again:"
    before = reader.greedy(prompt, 8)
    with reader.without_heads(heads):
        after = reader.greedy(prompt, 8)
    return {
        "name": "switch off the induction heads",
        "kind": "ablate",
        "prompt": prompt,
        "sites": [f"L{layer}.head[{head}]" for layer, head in heads],
        "previous-token heads": [
            f"L{layer}.head[{head}]" for layer, head in strongest(previous, PREVIOUS_HEADS)
        ],
        "before": before,
        "after": after,
    }


def patch_demonstration(reader: Reader) -> dict:
    prompt, source, place = "The capital of France is", "The capital of Japan is", 4
    ids, _ = reader.batch([prompt])
    donor = reader.states(reader.batch([source])[0])[1, :, place]

    def put(state):
        if state.shape[1] <= place:
            return state
        state = state.clone()
        state[:, place] = donor
        return state

    before = reader.greedy(prompt, 2)
    with reader.changed(1, put):
        after = reader.greedy(prompt, 2)
    return {
        "name": "patch the country",
        "kind": "patch",
        "prompt": prompt,
        "source": source,
        "site": f"L0.resid_post@{place}",
        "before": before,
        "after": after,
        "tokens": ids.shape[1],
    }


def write(reader: Reader) -> None:
    made = [
        *feature_demonstrations(reader),
        refusal_demonstration(reader),
        head_demonstration(reader),
        patch_demonstration(reader),
    ]
    (reader.folder / "demonstrations.json").write_text(
        json.dumps(made, indent=1, ensure_ascii=False) + "\n"
    )
