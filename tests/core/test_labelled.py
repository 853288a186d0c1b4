"""Labelled sets: what ships is what the generators make, and bad tables are refused in words."""

import json
from pathlib import Path

import pytest

from core import concepts, labelled
from core.corpus.world.labelled import planted, templated
from core.spec.errors import Error
from core.spec.labelled import LabelledSet, from_plain, of_labels, plain, remarks, together
from tools.labelled import entry, table

TEXTS = ("one dog", "two dogs", "one cat", "two cats")


def test_the_files_of_the_generated_sets_are_what_the_generators_make() -> None:
    for one in (*planted(), *templated()):
        kept = labelled.named(one.name)
        assert kept == one
        assert (labelled.FOLDER / labelled.built_in()[one.name].file).read_text() == table(one)
    index = {row["name"]: row for row in json.loads((labelled.FOLDER / labelled.INDEX).read_text())}
    assert {name: index[name] for name in (one.name for one in planted())} == {
        one.name: entry(one) for one in planted()
    }


@pytest.mark.parametrize("name", list(labelled.built_in()))
def test_a_built_in_set_is_whole_balanced_and_freely_licensed(name: str) -> None:
    one, meta = labelled.named(name), labelled.built_in()[name]
    assert len(one.texts) == meta.n >= 100
    assert max(one.counts) <= 1.25 * min(one.counts)
    assert one.licence in ("Apache-2.0", "MIT", "CC0-1.0")
    assert one.about
    assert one.source
    assert one.topic in labelled.TOPICS
    assert len(set(one.texts)) == len(one.texts) or name in ("counterfact", "StrategyQA")


def test_no_group_of_a_truth_set_decides_its_label() -> None:
    for name, meta in labelled.built_in().items():
        if meta.topic != "truth" or name in ("counterfact", "addition"):
            continue
        one = labelled.named(name)
        for group in set(one.groups):
            mine = [y for y, g in zip(one.labels, one.groups, strict=True) if g == group]
            assert sum(mine) * 2 == len(mine), (name, group)


def test_the_shipped_sets_stay_under_a_megabyte() -> None:
    assert sum(path.stat().st_size for path in labelled.FOLDER.iterdir()) < 1_000_000


def test_a_set_survives_a_request() -> None:
    one = labelled.named("brackets")
    assert from_plain(plain(one)) == one
    assert from_plain(tuple(plain(one).items())) == one
    assert len(one.classes) == 3


def test_labels_of_any_kind_become_numbered_classes() -> None:
    assert of_labels("x", TEXTS, [10, 9, 10, 9]).classes == ("9", "10")
    assert of_labels("x", TEXTS, [True, False, True, False]).labels == (1, 0, 1, 0)
    assert of_labels("x", TEXTS, ["b", "a", "b", "a"]).classes == ("a", "b")
    assert of_labels("x", TEXTS, [1.0, 0, "1", "0"]).classes == ("0", "1")
    assert of_labels("x", TEXTS * 2, ["a", "b", "c", "d"] * 2).counts == (2, 2, 2, 2)


def test_copies_are_never_on_two_sides_and_are_said() -> None:
    one = LabelledSet("x", ("a b", "c d", "a b", "e f", "g h"), (0, 1, 1, 0, 1), ("n", "y"),
                      groups=("1", "2", "3", "3", "4"))  # fmt: skip
    groups = together(one)
    assert groups[0] == groups[2] == groups[3]
    assert len(set(groups)) == 3
    said = " ".join(remarks(one))
    assert "1 text is a copy" in said
    assert "1 text stands under more than one label" in said
    assert "no groups" in " ".join(remarks(LabelledSet("x", TEXTS, (0, 1, 0, 1), ("n", "y"))))
    uneven = LabelledSet("x", TEXTS * 3, (0, 0, 1) + (1,) * 9, ("n", "y"), groups=TEXTS * 3)
    assert "uneven (2 to 10 texts)" in " ".join(remarks(uneven))


@pytest.mark.parametrize(
    ("content", "kind", "options", "said"),
    [
        ("text,label\na,1\nb,1\n", "csv", {}, "one class only ('1')"),
        ("text,label\na,1\nb,0\nc,0\n", "csv", {}, "class '1' has 1 text; every class needs"),
        ("text,truth\na,1\n", "csv", {}, "no column for the labels: there are 'text', 'truth'"),
        ("word,label\na,1\n", "csv", {}, "no column for the texts"),
        ("text,label\na,1\n", "csv", {"label": "y"}, "no column 'y' for the labels"),
        ("text,label\na, b,1\nc,0\n", "csv", {}, "line 2 of the table has not 2 cells"),
        ("text,label\na,1\n,0\n", "csv", {}, "row 2 has no 'text'"),
        ("text,label\na,\nb,0\n", "csv", {}, "text 1 has no label"),
        ("", "csv", {}, "the table is empty"),
        ('{"text": "a"\n', "jsonl", {}, "line 1 is not JSON"),
        ("[1, 2]\n", "jsonl", {}, "line 1 is no JSON object"),
        ('{"text": "a", "truth": 1}\n', "jsonl", {}, "no key for the labels"),
    ],
)
def test_a_bad_table_is_refused_in_words(
    content: str, kind: str, options: dict[str, str], said: str
) -> None:
    with pytest.raises(Error, match=said.replace("(", r"\(").replace(")", r"\)")):
        labelled.read_table(content, kind, **options)


def test_tables_of_every_kind_say_the_same() -> None:
    rows = [("a, b", "yes", "g1"), ("c", "no", "g1"), ("d", "yes", "g2"), ("e", "no", "g2")]
    comma = "text,label,group\n" + "".join(f'"{a}",{b},{c}\n' for a, b, c in rows)
    semi = "Text;Label;Group\n" + "".join(f"{a};{b};{c}\n" for a, b, c in rows)
    tab = "statement\tclass\tsubject\n" + "".join(f"{a}\t{b}\t{c}\n" for a, b, c in rows)
    lines = "\n".join(json.dumps({"content": a, "t": b, "topic": c}) for a, b, c in rows)
    found = [labelled.read_table(content) for content in ("\ufeff" + comma, tab, semi)]
    found.append(labelled.read_table(lines, "jsonl", label="t"))
    assert found[0] == found[1] == found[2] == found[3]
    assert found[0].classes == ("no", "yes")
    assert found[0].groups == ("g1", "g1", "g2", "g2")


def test_files_are_read_by_their_ending_and_not_on_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "own.csv"
    path.write_text("text,label\na,1\nb,0\nc,1\nd,0\n")
    assert labelled.read_file(str(path)).name == "own"
    (tmp_path / "odd.csv").write_bytes(b"text,label\n\xff,1\n")
    with pytest.raises(Error, match="not UTF-8 text"):
        labelled.read_file(str(tmp_path / "odd.csv"))
    with pytest.raises(Error, match="no table of texts"):
        labelled.read_file("/etc/passwd")
    with pytest.raises(Error, match="no file"):
        labelled.read_file(str(tmp_path / "none.csv"))
    monkeypatch.setenv("EIDOSCOPE_HOSTED", "1")
    with pytest.raises(Error, match="reads no files"):
        labelled.read_file(str(path))


def test_a_concept_and_two_lists_become_sets() -> None:
    pairs = concepts.named("happy/sad")
    one = labelled.of_concept(pairs)
    assert one.classes == ("without", "happy/sad")
    n = len(pairs.positive)
    assert one.texts[n:] == pairs.positive
    assert one.groups[0] == one.groups[n]
    loose = labelled.of_lists(["a", "b"], ["c", "d", "e"])
    assert loose.labels == (0, 0, 1, 1, 1)
    with pytest.raises(Error, match="is empty"):
        labelled.of_lists([], ["a"])
    with pytest.raises(Error, match="as many on both sides"):
        labelled.of_lists(["a"], ["b", "c"], paired=True)


def test_a_set_that_cannot_be_is_refused() -> None:
    for given, said in (
        ({"texts": ("a",), "labels": (0, 1)}, "1 texts and 2 labels"),
        ({"texts": ("a", " "), "labels": (0, 1)}, "text 2 is empty"),
        ({"texts": ("a", "b"), "labels": (0, 2)}, "labels are numbers"),
        ({"texts": ("a", 3), "labels": (0, 1)}, "text 2 is a int"),
        ({"texts": TEXTS, "labels": (0, 1, 0, 1), "groups": ("a",)}, "and 1 groups"),
        ({"texts": TEXTS, "labels": (0, 1, 0, 1), "words": ("pig",) * 4}, "does not hold its word"),
        ({"texts": ("a" * 30_000, "b"), "labels": (0, 1)}, "30,000 characters"),
    ):
        with pytest.raises(Error, match=said):
            LabelledSet("x", classes=("n", "y"), **given)  # type: ignore[arg-type]
    with pytest.raises(Error, match="no labelled set 'none'"):
        labelled.named("none")
    with pytest.raises(Error, match="has no 'text'"):
        from_plain({"text": ("a",)})
