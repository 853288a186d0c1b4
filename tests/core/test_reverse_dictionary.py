"""Descriptions and words: what the embedded model knows, fresh weights, planted properties."""

import csv

import numpy as np
import pytest

from core import api
from core.analyses import reverse_dictionary as analysis
from core.analyses.head_nulls import untrained
from core.analyses.property_decoding import decoded
from core.analyses.reverse_dictionary import reverse_dictionary
from core.analyses.reverse_prompts import Prompts, Read, _verdict, prompts, read
from core.analyses.runs import Silent, prompt_rows
from core.corpus.reverse_items import FOLDER, asked
from core.corpus.word_properties import properties
from core.engine.generate import generate
from core.figures import reverse_dictionary as drawing
from core.figures.theme import Look
from core.models.tokens import decode
from core.results.reverse_dictionary import ReverseDictionary
from core.spec.described import FACTS, WORDNET, Item
from core.spec.errors import Error

SMALL = {"n_items": 40, "n_demonstrations": 2, "n_shuffles": 10}


@pytest.fixture(scope="module")
def model():
    return api.load("embedded")


@pytest.fixture(scope="module")
def result(model) -> ReverseDictionary:
    cities = {
        "a city": ("taxonomic", ["Paris", "Madrid", "Rome", "Berlin", "Athens", "Lisbon", "Warsaw",
                                 "Oslo", "Stockholm", "Moscow", "Vienna", "Dublin", "Tokyo"]),
        "rare": ("visual", ["Paris"]),
    }  # fmt: skip
    return reverse_dictionary(
        model, Silent(), items=FACTS, properties=cities, min_with=5, n_runs=2, **SMALL
    )


def test_the_embedded_model_lands_on_its_facts_and_fresh_weights_do_not(model, result):
    assert result.accuracy("matched") > 0.8
    assert result.accuracy("none") > 0.8  # it was taught the facts, and needs no demonstrations
    assert np.nanmax(result.category_accuracy[0]) > 0.8
    assert np.nanmean(result.category_chance[:, 0]) < 0.35
    fresh, _ = untrained(model, 0)
    none = reverse_dictionary(fresh, Silent(), items=FACTS, **SMALL)
    assert none.accuracy("matched") == 0
    assert none.first_p.max() < 0.01


def test_answers_and_states_are_those_of_the_prompt_alone(model, result):
    found = asked(FACTS)
    for number in (0, 17, 33):
        place = next(i for i, one in enumerate(found.items) if one.word == result.words[number])
        made = prompts(model, found, [place], 2, 0, mismatched=False)
        own = read(model, Silent(), made, [found.items[place]], (0, 1), "")
        assert own.right[0] == result.right[0, 0, number]
        rows_, _ = prompt_rows(model, made.example)
        ids = generate(model, rows_, max_new_tokens=2).ids[0]
        assert decode(model, ids).startswith(own.said[0][:3])
        seen = api.trace(model, decode(model, made.ids[0]), ["L3.resid_post"])["L3.resid_post"]
        assert np.allclose(own.arrow[4, 0], seen[-1], atol=1e-3)


def test_the_state_at_the_arrow_does_not_know_the_word_that_stands_behind_it(model):
    found = asked([(f"The capital of {name}", "Paris", "a") for name in
                   ("France", "Spain", "Italy", "Greece", "Poland", "Norway", "Sweden", "Russia")],
                  " is", ". ")  # fmt: skip
    other = [Item(item.description, "hippopotamus", "a") for item in found.items]
    made = prompts(model, found, range(8), 0, 0, mismatched=False)
    one = read(model, Silent(), made, found.items, (0, 1), "")
    two = read(model, Silent(), made, other, (0, 1), "")
    assert np.allclose(one.arrow, two.arrow, atol=1e-4)
    assert one.right[0]
    assert not two.right.any()


@pytest.mark.parametrize(
    ("text", "said"),
    [(" Paris.", "right"), (" Paris,", "right"), (" Pari", "open"), (" Parish", "wrong"),
     (" paris ", "right"), (" Rome", "wrong"), (" Lutetia.", "right")],
)  # fmt: skip
def test_an_answer_is_right_once_the_word_has_ended(model, text, said):
    ids = model.tokenizer(text.strip(" "), add_special_tokens=False)["input_ids"]
    item = Item("The capital of France", "Paris", "", ("Lutetia",))
    if text.endswith(" "):
        ids = [*ids, *model.tokenizer("and", add_special_tokens=False)["input_ids"]]
    assert _verdict(model, ids, item) == said


def test_prompts_hold_their_demonstrations_and_never_the_answer(model):
    found = asked(FACTS)
    made = prompts(model, found, range(6), 3, 0, mismatched=False)
    wrong = prompts(model, found, range(6), 3, 0, mismatched=True)
    assert made.n == wrong.n == 3
    right = {f"{item.description} is {item.word}" for item in found.items}
    for number in range(6):
        text = decode(model, made.ids[number])
        shown = [part.strip() for part in text.split(". ")]
        assert set(shown[:-1]) <= right
        assert shown[-1].endswith(" is")
        assert f"is {found.items[number].word}." not in text
        mixed = [part.strip() for part in decode(model, wrong.ids[number]).split(". ")]
        assert not set(mixed[:-1]) & right
        assert made.before[number] < made.arrow[number] == len(made.ids[number]) - 1
    many = prompts(model, asked(WORDNET), range(4), 48, 0, mismatched=False)
    assert many.n < 48
    assert max(map(len, many.ids)) <= model.n_ctx


def test_planted_properties_are_read_and_random_ones_are_not():
    rng = np.random.default_rng(0)
    labels = rng.random((240, 3)) < 0.3
    states = rng.normal(size=(240, 40))
    states[:, 3] += 3.0 * labels[:, 0]
    states[:, 7] += 1.8 * labels[:, 1]
    found = decoded(states, labels, 0)
    assert found.auc[0] > 0.93
    assert 0.7 < found.auc[1] < found.auc[0]
    assert abs(found.auc[2] - 0.5) < 0.2
    assert found.f1[0] > 0.7
    assert np.abs(found.chance.mean() - 0.5) < 0.1


def test_likeness_over_demonstrations_is_one_with_itself_and_none_when_items_move():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(30, 12))

    def seen(noise: float):
        states = (base + noise * rng.normal(size=base.shape))[None]
        one = Read(states, states, np.ones(30), ("",) * 30, np.ones(30))
        return Prompts((), (), (), 1, ""), one

    labels = np.repeat(np.array(["a", "b", "c"]), 10)
    found = analysis._convergence([seen(9.0), seen(0.3), seen(0.0)], labels, 20, 0)
    one, two, three = found["likeness"][:, 0]
    assert one < 0.3 < two < three == pytest.approx(1)
    assert np.abs(found["likeness_chance"].mean()) < 0.05
    assert abs(found["category_likeness"][0]) < 0.15


def test_what_was_asked_is_said_and_drawn_in_both_looks(result):
    assert result.fitted == (2, 2)
    assert result.right.shape == (3, 2, result.n_items)
    assert list(result.ns) == [0, 1, 2]
    assert result.likeness[-1, -1] == pytest.approx(1)
    assert result.properties == ("a city",)
    assert result.property_auc[0] > 0.7
    assert np.isnan(result.category_accuracy[0, 0])  # the arrow is the same token everywhere
    for look in (Look(), Look(dark=True)):
        for view in drawing.VIEWS:
            drawing.figure(result, look, view=view)
    fig = drawing.figure(result, Look())
    np.testing.assert_allclose(
        np.array(fig.data[0].x, float),
        [result.accuracy(c) for c in ("matched", "mismatched", "none")],
    )
    curves = drawing.figure(result, Look(), view="layers")
    assert any(trace.fill == "tonexty" for trace in curves.data)
    assert "dealt out" in drawing.caption(result)
    assert "by chance" in drawing.title(result)
    again = ReverseDictionary.build(result.arrays(), result.labels())
    assert len(again.to_frame()) == result.n_items
    with pytest.raises(Error, match="can show"):
        drawing.figure(result, Look(), view="pie")


def test_the_built_in_descriptions_never_hold_their_word():
    with (FOLDER / "wordnet.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len({row["word"] for row in rows}) > 150
    for row in rows:
        assert row["word"] not in row["description"].lower().split()
    assert "CC BY 4.0" in asked(WORDNET).licence
    assert (FOLDER / "README.md").read_text(encoding="utf-8").count("Princeton") >= 3


def test_a_table_of_ones_own_is_read_and_its_columns_named(tmp_path):
    path = tmp_path / "mine.csv"
    lines = [f"thing number {n},w{n},k{n % 2},z;y" for n in range(9)]
    path.write_text("\n".join(["Definition,Word,Category,synonyms", *lines]), encoding="utf-8")
    found = asked(str(path))
    assert found.items[3] == Item("thing number 3", "w3", "k1", ("z", "y"))
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(Error, match="no column for the descriptions"):
        asked(str(path))
    table = tmp_path / "norms.csv"
    table.write_text("word,property,group\nDog,barks,sound\ncat,barks,sound\n", encoding="utf-8")
    own = properties(str(table))
    assert own.names == ("barks",)
    assert own.group == ("sound",)
    assert own.words == (frozenset({"dog", "cat"}),)
    table.write_text("x,y\n1,2\n", encoding="utf-8")
    with pytest.raises(Error, match="no column for the words"):
        properties(str(table))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"items": "nothing"}, "no descriptions"),
        ({"items": [("a b", "c")]}, "8 to"),
        ({"items": [("", "c")] * 9}, "no description or no word"),
        ({"items": 7}, "items= is"),
        ({"items": ["abc"] * 9}, "no row"),
        ({"n_demonstrations": 100}, "n_demonstrations="),
        ({"n_items": 1}, "n_items="),
        ({"properties": "none.csv", **SMALL}, "no table of properties"),
        ({"properties": {"red": ["Paris"]}, **SMALL}, "none of 1 properties"),
        ({"layer": 99, **SMALL}, "layer="),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(model, options, said):
    with pytest.raises(Error, match=said):
        reverse_dictionary(model, Silent(), **{"items": FACTS, **options})


def test_an_encoder_is_refused(tiny):
    with pytest.raises(Error, match="use a decoder"):
        reverse_dictionary(api.load(tiny("bert"), device="cpu"), Silent(), items=FACTS)
