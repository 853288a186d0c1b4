"""Sets of concepts: what comes with the program, what a question means, what people type."""

import json

import pytest

from core import concept_sets, own_sets, planted_sets
from core.home import embedded
from core.spec.concept import Concept
from core.spec.concept_set import ConceptSet, Group, plain
from core.spec.errors import Error
from core.spec.request import ModelRef, ask
from core.spec.set_text import read_text


def test_every_built_in_set_opens_with_the_sizes_its_entry_says():
    found = concept_sets.built_in()
    for name, entry in found.items():
        one = concept_sets.named(name)
        assert (one.name, one.kind, len(one.groups)) == (name, entry.kind, entry.n_groups)
        if entry.file or (entry.model == "" and not name.startswith(concept_sets.STATEMENTS)):
            assert one.n_items == entry.n_items
        assert all((one.about, one.source, one.licence)), name


def test_the_index_names_every_file_and_no_other():
    listed = {one.file for one in concept_sets.built_in().values() if one.file}
    there = {path.name for path in concept_sets.FOLDER.glob("*.json")} - {concept_sets.INDEX}
    assert listed == there
    assert sum(path.stat().st_size for path in concept_sets.FOLDER.iterdir()) < 300_000


def test_the_tree_of_nouns_holds_each_noun_once_and_knows_that_a_dog_is_an_animal():
    nouns = concept_sets.named("WordNet nouns")
    every = [word for group in nouns.groups for word in group.items]
    assert len(every) == len(set(every)) > 7_000
    assert "dog" in nouns.below("animal")
    assert "dog" not in nouns.below("artifact")
    assert set(nouns.below("animal")) < set(nouns.below("entity"))


def test_categories_below_place_do_not_mix_with_those_below_artefact():
    found = concept_sets.named("categories")
    assert "hammer" in found.below("artefact")
    assert "Paris" not in found.below("artefact")


def test_planted_sets_are_the_words_of_the_models_own_table():
    folder = next(one.folder for one in embedded() if (one.folder / "concepts.json").is_file())
    table = json.loads((folder / "concepts.json").read_text())
    found = {one.name.partition(": ")[2]: one for one in planted_sets.planted(folder)}
    kinds = found["kinds of things"]
    assert set(kinds.below("animal")) == set(table["concepts"]["animal"]["members"])
    assert list(found["days"].groups[0].items) == table["cycles"]["day"]
    assert {group.name for group in found["never seen"].groups} == set(table["absent"])
    for text in found["senses"].below("bark"):
        assert text.endswith("bark")
    assert "harmful request" not in {g.name for one in found.values() for g in one.groups}


def test_a_short_name_finds_the_planted_set_unless_a_built_in_has_it():
    assert concept_sets.named("days").name == "embedded: days"
    assert concept_sets.named("months").name == "months"


def test_the_name_of_a_concept_is_a_set_as_well():
    assert concept_sets.asked("gender").contexts == ("{}",)
    assert {group.name for group in concept_sets.asked("embedded: bird").groups} == {
        "embedded: bird",
        "not embedded: bird",
    }


def test_asked_takes_names_sets_tables_concepts_words_and_pairs():
    asked = concept_sets.asked
    days = asked("weekdays")
    assert asked(days) is days
    assert asked(plain(days)) == days
    through = ask("layer_map", ModelRef("m"), concepts=plain(days)).option("concepts")
    assert asked(through) == days
    words = asked(["cat", "dog"])
    assert words.groups[0].items == ("cat", "dog")
    assert words.kind == "categories"
    pairs = asked([("king", "queen"), ("man", "woman")])
    assert pairs.kind == "pairs"
    assert pairs.groups[0].targets == ("queen", "woman")
    one, other = Concept("a", ("x", "y")), Concept("b", ("z", "w"))
    both = asked([one, other])
    assert [group.name for group in both.groups] == ["a", "b"]
    assert asked(asked_options([one, other])) == both


def asked_options(concepts):
    from core.spec.concept import plain as of

    return ask("geometry", ModelRef("m"), concepts=[of(one) for one in concepts]).option("concepts")


def test_paired_concepts_stay_pairs_and_mixed_ones_become_groups():
    pairs = Concept("up", ("big", "hot"), ("small", "cold"), paired=True)
    plain_one = Concept("cats", ("lion", "tiger"))
    assert concept_sets.asked([pairs, pairs_named("down")]).kind == "pairs"
    mixed = concept_sets.asked([pairs, plain_one])
    assert [group.name for group in mixed.groups] == ["up", "not up", "cats"]


def pairs_named(name):
    return Concept(name, ("long", "new"), ("short", "old"), paired=True)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("no such set", "no set of concepts"),
        ([], "no concepts"),
        (7, "not a set of concepts"),
        (["cat", "cat"], "stands twice"),
        ([Concept("a", ("x", "y")), "word"], "not both"),
        ([("king", "king")], "have to differ"),
    ],
)
def test_what_is_no_set_is_refused_in_a_sentence(given, says):
    with pytest.raises(Error, match=says):
        concept_sets.asked(given)


def test_typed_groups_with_their_tree_contexts_and_remarks():
    found = read_text(
        "# my kinds\nanimal > mammal: dog, cat\nanimal > bird: owl, robin\nHe saw the {}\n", "kinds"
    )
    assert {g.name: (g.items, g.parent) for g in found.groups} == {
        "animal": ((), ""),
        "mammal": (("dog", "cat"), "animal"),
        "bird": (("owl", "robin"), "animal"),
    }
    assert found.contexts == ("He saw the {}",)
    assert found.kind == "categories"


def test_typed_pairs_words_and_texts_below_a_heading():
    pairs = read_text("gender:\nking - queen\nman = woman\nplural: cat -> cats, dog -> dogs")
    assert next(iter(pairs.pairs())) == ("gender", "king", "queen")
    assert pairs.group("plural").targets == ("cats", "dogs")
    assert pairs.kind == "pairs"
    words = read_text("Monday\nTuesday\nMonday", "days", "cycle")
    assert words.kind == "cycle"
    assert words.items == ("Monday", "Tuesday")
    texts = read_text('true:\nParis, the city, is in France.\n"Note: two is even."\nfalse:\nNo.')
    assert texts.group("true").items == ("Paris, the city, is in France.", "Note: two is even.")


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "no words"),
        ("king - queen\ncat", "a word among pairs"),
        ("cat\nking - queen", "a pair among words"),
        ("a - b - c", "3 parts"),
        ("empty:", "no words"),
        ("a > x: p\nb > x: q", "lies below"),
        ("x > x: p, q", "below"),
        ("a: cat, dog\nb:", "no words"),
    ],
)
def test_lines_that_make_no_set_are_refused_in_a_sentence(typed, says):
    with pytest.raises(Error, match=says):
        read_text(typed)


def test_tables_say_which_column_is_missing():
    found = own_sets.read_table("category,word,parent\nbird,owl,animal\nfish,cod,animal\n", "t")
    assert found.below("animal") == ("owl", "cod")
    pairs = own_sets.read_table("base;target\nking;queen\n", "t")
    assert list(pairs.pairs()) == [("t", "king", "queen")]
    with pytest.raises(Error, match="no column for the words: there are 'x', 'y'"):
        own_sets.read_table("x,y\n1,2\n")
    with pytest.raises(Error, match="no column 'kind' for the groups; there are 'word'"):
        own_sets.read_table("word\nowl\n", group="kind")
    with pytest.raises(Error, match="line 3 has no 'word'"):
        own_sets.read_table("word,group\nowl,a\n,b\n")
    with pytest.raises(Error, match="line 2 of the table has not 2 cells"):
        own_sets.read_table("word,group\nowl\n")


@pytest.fixture
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("EIDOSCOPE_HOME", str(tmp_path))
    monkeypatch.delenv("EIDOSCOPE_HOSTED", raising=False)
    return tmp_path


MINE = ConceptSet("mine", "categories", (Group("a", ("x", "y")), Group("b", ("z",), (), "a")))


def test_saved_sets_keep_their_versions_and_never_change(own_home):
    first = own_sets.save(MINE)
    assert own_sets.save(MINE) == first
    changed = ConceptSet("mine", "categories", (Group("a", ("x", "w")),))
    second = own_sets.save(changed)
    assert [one.key for one in own_sets.versions("mine")] == [first.key, second.key]
    assert concept_sets.asked("mine") == changed
    assert own_sets.opened(first.key) == MINE
    path = own_home / "concept_sets" / f"{first.key}.json"
    path.write_text(path.read_text().replace('"x"', '"v"'))
    with pytest.raises(Error, match="changed on disk"):
        own_sets.opened(first.key)


def test_a_broken_log_line_loses_only_itself(own_home):
    own_sets.save(MINE)
    with (own_home / "concept_sets" / "versions.jsonl").open("a") as log:
        log.write('{"name": "mi')
    assert [one.name for one in own_sets.versions()] == ["mine"]


def test_a_server_neither_keeps_nor_shows_sets(own_home, monkeypatch, tmp_path):
    kept = own_sets.save(MINE)
    (tmp_path / "words.txt").write_text("owl\ncod\n")
    monkeypatch.setenv("EIDOSCOPE_HOSTED", "1")
    for refused in (
        lambda: own_sets.save(MINE),
        lambda: own_sets.opened(kept.key),
        lambda: concept_sets.asked("mine"),
        lambda: own_sets.read_file(tmp_path / "words.txt"),
    ):
        with pytest.raises(Error):
            refused()
    assert own_sets.versions() == ()


def test_a_built_in_name_is_not_taken_by_an_own_set(own_home):
    with pytest.raises(Error, match="built in"):
        concept_sets.save(ConceptSet("weekdays", "cycle", MINE.groups[:1]))


def test_exports_read_back(own_home, tmp_path):
    for name in ("embedded: kinds of things", "contrasts", "weekdays"):
        one = concept_sets.named(name)
        assert own_sets.imported(own_sets.exported(one)) == one
    pairs = concept_sets.named("contrasts")
    again = own_sets.read_table(own_sets.as_csv(pairs), "contrasts")
    assert list(again.pairs()) == list(pairs.pairs())
    (tmp_path / "kinds.csv").write_text(own_sets.as_csv(concept_sets.named("categories")))
    assert set(concept_sets.asked(str(tmp_path / "kinds.csv")).below("animal")) == set(
        concept_sets.named("categories").below("animal")
    )


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"name": "a"}', "[" * 100_000])
def test_json_that_is_no_set_is_refused_in_a_sentence(content):
    with pytest.raises(Error):
        own_sets.imported(content)


def test_a_notebook_makes_lists_reads_and_writes_sets(own_home, tmp_path):
    from core import api

    kinds = api.concept_set("kinds", {"cat": ["lion", "tiger"], "dog": ["wolf", "fox"]})
    assert kinds.group("dog").items == ("wolf", "fox")
    pairs = api.concept_set("up", [("big", "small"), ("hot", "cold")])
    assert pairs.kind == "pairs"
    assert api.concept_set("steps", ["one", "two", "three"], kind="line").kind == "line"
    for name in ("kinds.json", "kinds.csv"):
        path = api.save_concept_set(kinds, tmp_path / name)
        assert api.read_concept_set(path).group("cat") == kinds.group("cat")
    api.save_concept_set(kinds)
    assert api.concept_set("kinds") == kinds
    assert api.concept_sets()["kinds"] == "saved, version 1"
    with pytest.raises(Error, match="written as"):
        api.save_concept_set(kinds, tmp_path / "kinds.xlsx")
