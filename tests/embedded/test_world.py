"""The generated world: the same bytes for one seed, labels in their place, held-out cases out."""

import hashlib
import re

from core.corpus.world import FAMILIES, HELD_OUT_SEEDS, generate
from core.corpus.world import words as w
from core.corpus.world.catalogue import ABSENT, catalogue
from core.corpus.world.held_out import CYCLES, HELD_OUT_ADDITIONS, HELD_OUT_STEPS
from core.corpus.world.requests import HELD_OUT_HARMFUL, HELD_OUT_HARMLESS
from core.corpus.world.tasks import tasks

# SHA-256 of the text and labels of generate(0, 5000).
KNOWN = "1afa8f8bcc76da9a3fdc72df413d61fb58db98e3e821797f5d49c237d51a2a91"


def test_a_seed_gives_the_same_bytes_everywhere():
    made = "".join(one.text + repr(one.segments) for one in generate(0, 5000))
    assert hashlib.sha256(made.encode()).hexdigest() == KNOWN
    assert generate(1, 20) != generate(2, 20)


def test_every_family_is_drawn_about_as_often_as_its_weight_says():
    documents = generate(3, 6000)
    drawn = [name for one in documents for name in one.families]
    total = sum(weight for _, weight in FAMILIES.values())
    for name, (_, weight) in FAMILIES.items():
        assert abs(drawn.count(name) / len(drawn) - weight / total) < 0.02, name


def test_spans_hold_exactly_the_labelled_text():
    for one in generate(4, 500):
        for span in one.spans():
            text = one.text[span.start : span.end]
            assert text == text.strip() != ""
            if "day" in span.labels:
                assert text in w.DAYS
            if "country" in span.labels:
                assert text in [row[0] for row in w.COUNTRIES]


def test_senses_are_labelled_apart():
    labels = {
        label for one in generate(5, 6000) for segment in one.segments for label in segment.labels
    }
    for word, sense, _ in w.SENSES:
        assert f"{word} ({sense})" in labels


def test_bracket_depth_counts_open_brackets():
    for one in generate(6, 4000):
        depth = 0
        for text, labels in one.segments:
            marks = [label for label in labels if label.startswith("depth:")]
            if marks:
                depth += 1 if text.strip() in "([{" else -1
                assert marks == [f"depth:{depth}"]
            else:
                assert depth == 0


def test_held_out_combinations_never_appear():
    text = "\n".join(one.text for one in generate(7, 20_000))
    for request in (*HELD_OUT_HARMFUL, *HELD_OUT_HARMLESS):
        assert request not in text
    for a, b in HELD_OUT_ADDITIONS:
        assert f"{w.capital(w.NUMBERS[a])} plus {w.NUMBERS[b]} is" not in text
    for cycle, held in HELD_OUT_STEPS.items():
        names = CYCLES[cycle]
        for start, step, way in held:
            count, order = w.capital(w.NUMBERS[step]), "after" if way > 0 else "before"
            assert f"{count} {cycle}s {order} {names[start]} " not in text


def test_absent_concepts_are_absent():
    words = set(re.findall(r"[a-z]+", "\n".join(one.text for one in generate(8, 20_000)).lower()))
    for members in ABSENT.values():
        assert not words.intersection(members)


def test_the_catalogue_is_consistent_with_the_tables():
    made = catalogue()
    for name, entry in made["concepts"].items():
        assert entry["members"], name
        assert entry.get("above", name) in made["concepts"] or entry["above"] in w.UPPER.values()
        assert entry["family"] in made["families"]
    for low, high in made["hierarchy"]:
        assert set(made["concepts"][low]["members"]) <= set(made["concepts"][high]["members"])
    assert all(label in made["labels"] for label in ("male", "mammal", "depth:2", "topic:farm"))


def test_tasks_have_one_answer_per_prompt():
    for task in tasks():
        answers: dict[str, set[str]] = {}
        for prompt, answer in task.prompts:
            answers.setdefault(prompt, set()).add(answer)
        assert all(len(found) == 1 for found in answers.values()), task.name
        assert all(prompt == prompt.rstrip() for prompt in answers), task.name


def test_training_seeds_and_held_out_seeds_are_apart():
    assert HELD_OUT_SEEDS == 1_000_000
