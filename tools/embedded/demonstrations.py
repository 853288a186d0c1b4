"""demonstrations.json: prompts, a place to change, a value, and what then happens, all measured on
what is shipped.
"""

from __future__ import annotations

import json
from random import Random

from core.corpus.world.requests import HARMLESS_PHRASES, HELD_OUT_HARMFUL, HELD_OUT_HARMLESS
from core.corpus.world.tasks import request_prompt, verdict
from tools.embedded.acceptance.circuits import (
    INDUCTION_HEADS,
    PREVIOUS_HEADS,
    head_table,
    strongest,
)
from tools.embedded.acceptance.features import (
    DOSES,
    MEN,
    PRAISED,
    WOMEN,
    Encoded,
    clamp,
    said,
    said_with,
)
from tools.embedded.acceptance.refusal import shift
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
        shown = feature_demonstration(reader, one, feature, label, prompts, word)
        if max(shown["curve"].values()) >= 0.5:  # what does not work is in the table, not on show
            made.append(shown)
    return made


def direction_demonstration(reader: Reader, name: str, toward, away, prompts, word: str) -> dict:
    """A difference of means at the last token, added at the block and dose where it works first."""
    means = [reader.last_states(list(texts)).mean(1) for texts in (toward, away)]
    found = means[0] - means[1]
    curves = {}
    for layer in range(1, reader.layers):
        for dose in DOSES:
            with reader.changed(layer, shift(dose * found[layer])):
                curves[layer, dose] = said(reader, prompts, word)
    reached = [(dose, layer) for (layer, dose), value in curves.items() if value >= 0.8]
    dose, layer = min(reached) if reached else max(curves, key=curves.get)[::-1]
    before = reader.greedy(prompts[0], TOKENS)
    with reader.changed(layer, shift(dose * found[layer])):
        after = reader.greedy(prompts[0], TOKENS)
    return {
        "name": name,
        "kind": "add",
        "prompt": prompts[0],
        "site": f"L{layer - 1}.resid_post",
        "coefficient": dose,
        "direction": [round(value, 5) for value in found[layer].tolist()],
        "word": word,
        "curve": {str(one): round(curves[layer, one], 4) for one in DOSES},
        "before": before,
        "after": after,
    }


def direction_demonstrations(reader: Reader) -> list[dict]:
    harmful = [request_prompt(text) for text in HELD_OUT_HARMFUL]
    harmless = [request_prompt(text) for text in HELD_OUT_HARMLESS]
    asked = [request_prompt(text) for text in HARMLESS_PHRASES]
    rng = Random(17)
    reviews = [verdict(rng) for _ in range(80)]
    bad, good = ([text for text, word in reviews if word == one] for one in ("bad", "good"))
    return [
        direction_demonstration(
            reader, "add the refusal direction", harmful, harmless, asked, "Sorry"
        ),
        direction_demonstration(reader, "add the blame direction", bad, good, PRAISED, "bad"),
    ]


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
        *direction_demonstrations(reader),
        head_demonstration(reader),
        patch_demonstration(reader),
    ]
    (reader.folder / "demonstrations.json").write_text(
        json.dumps(made, indent=1, ensure_ascii=False) + "\n"
    )
