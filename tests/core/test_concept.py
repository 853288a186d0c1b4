"""Concepts: what is one, what is refused in a sentence, and the ones that come along."""

import json

import pytest

from core import concepts
from core.spec.concept import Concept, from_plain, lines, plain
from core.spec.errors import Error
from core.spec.request import ModelRef, ask


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": " ", "positive": ["a"]}, "needs a name"),
        ({"name": "x", "positive": []}, "no positive texts"),
        ({"name": "x", "positive": "a text"}, "a list of texts"),
        ({"name": "x", "positive": ["a", "  "]}, "positive text 2 is empty"),
        ({"name": "x", "positive": ["a", 3]}, "is a int"),
        ({"name": "x", "positive": ["a" * 5_000]}, "5,000 characters"),
        ({"name": "x", "positive": ["a"] * 6_000}, "6,000 positive texts"),
        ({"name": "x", "positive": ["a", "b", "a"]}, "'a' stands twice among the positive"),
        ({"name": "x", "positive": ["a"], "negative": ["b", "a"]}, "'a' stands on both sides"),
        ({"name": "x", "positive": ["a\ud800"]}, "half a character"),
        ({"name": "x\ud800", "positive": ["a"]}, "half a character"),
        ({"name": "x" * 200, "positive": ["a"]}, "at most 100"),
        ({"name": "x", "positive": ["a", "b"], "negative": ["c"], "paired": True}, "no pairs"),
        ({"name": "x", "positive": ["a"], "negative": ["a"], "paired": True}, "have to differ"),
        (
            {"name": "x", "positive": ["a", "a"], "negative": ["b", "b"], "paired": True},
            "'a' / 'b' stands twice",
        ),
    ],
)
def test_what_is_no_concept_is_refused_in_a_sentence(fields, says):
    with pytest.raises(Error, match=says):
        Concept(**fields)


@pytest.mark.parametrize("given", [3, None, ["ab"], {"name": "x"}, {"name": "x", "colour": 1}])
def test_what_is_no_table_of_a_concept_is_refused(given):
    with pytest.raises(Error):
        from_plain(given)


def test_a_concept_survives_a_request_and_a_json_file():
    one = Concept("<b>", ("ein Hund", "a & b"), ("x", "y"), paired=True, about="dogs")
    assert from_plain(json.loads(json.dumps(plain(one)))) == one
    request = ask("direction", ModelRef("embedded"), concept=plain(one))
    assert from_plain(request.option("concept")) == one
    hash(request)


def test_the_same_word_may_stand_in_two_pairs():
    assert Concept("x", ("a", "a"), ("b", "c"), paired=True).positive == ("a", "a")


def test_a_text_area_gives_one_text_a_line():
    assert lines(" one \n\n two\r\n") == ("one", "two")


def test_every_built_in_concept_says_what_it_is_and_where_it_is_from():
    found = concepts.built_in()
    assert {"sentiment", "gender", "language", "formality", "happy/sad"} <= set(found)
    for name, concept in found.items():
        assert concept.name == name
        assert concept.about
        assert "Apache-2.0" in concept.source
        assert len(concept.positive) > 1
        assert len(concept.negative) > 1


def test_no_request_a_model_is_taught_to_refuse_is_offered_as_a_concept():
    assert not [name for name in concepts.built_in() if "harm" in name]


def test_planted_classes_stand_against_the_others_of_their_family(tmp_path):
    folder = tmp_path / "toy"
    folder.mkdir()
    classes = {
        "dog": {"members": ["pug", "hound"], "family": "is-a"},
        "cat": {"members": ["tabby", "tom"], "family": "is-a"},
        "pet": {"members": ["pug", "hound", "tabby", "tom"], "family": "is-a"},
        "alone": {"members": ["x", "y"], "family": "other"},
    }
    table = {"concepts": classes, "pairs": {"young": [["dog", "puppy"], ["dog", "puppy"]]}}
    (folder / "concepts.json").write_text(json.dumps(table))
    found = {concept.name: concept for concept in concepts.planted(folder)}
    assert set(found) == {"toy: dog", "toy: cat", "toy: young pairs"}
    assert found["toy: dog"].negative == ("tabby", "tom")
    assert found["toy: young pairs"].positive == ("dog",)


def test_an_unknown_concept_names_some_that_exist():
    with pytest.raises(Error, match="no concept 'nope'; built in are sentiment"):
        concepts.named("nope")


def test_a_planted_concept_is_found_without_the_name_of_its_model():
    assert concepts.named("day") is concepts.named("embedded: day")
    assert concepts.named("language").name == "language"  # the everyday one comes first
