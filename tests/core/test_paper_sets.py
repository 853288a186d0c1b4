"""The paper's nine sets from files as its repository writes them, and what is said of the rest."""

import json
from pathlib import Path

import numpy as np
import pytest

from core import api, paper_sets
from core.figures import depth_many
from core.figures.theme import Look
from core.results.depth_curves import CURVES, together
from core.spec.errors import Error
from core.spec.labelled import LabelledSet
from tests.core.depth_case import ask, lines


def sets(folder: Path, **options: int) -> dict[str, LabelledSet | str]:
    return {one.name: given for one, given in paper_sets.read(str(folder), **options)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def rows(head: str, row: str, n: int = 12) -> str:
        return "\n".join([head, *(row.format(i=i, y=i % 2) for i in range(n))])

    write = {
        "cities.csv": rows("statement,label,city,country", "City {i} is in X.,{y},c{i},X"),
        "common_claim.csv": "examples,label\nA is so.,True\nB is so.,False\nC is so.,Neither\n"
        "D is so.,True\nE is so.,False\nA is so.,True\n",
        "stsa.binary.train": rows("0 a dull film", "{y} film {i} , it is"),
        "imdb.csv": rows("review,sentiment", '"film {i}, long",positive', 6)
        + "\nfilm a,negative\nfilm b,negative",
        "sarcasm.json": rows("", '{{"headline": "news {i}", "is_sarcastic": {y}}}'),
        "hateeval.tsv": rows("id\ttext\tHS\tTR\tAG", "{i}\ttweet, {i}\t{y}\t0\t0"),
    }
    for name, content in write.items():
        (tmp_path / name).write_text(content.lstrip("\n"))
    tasks = [{"input": f"q {i}?", "target_scores": {"Yes": i % 2, "No": 1 - i % 2}}
             for i in range(8)]  # fmt: skip
    (tmp_path / "StrategyQA_task.json").write_text(json.dumps({"examples": tasks}))
    coins = [{"question": f"coin {i}?", "answer": ("no", "yes")[i % 2]} for i in range(8)]
    (tmp_path / "coin_flip.json").write_text(json.dumps({"examples": coins}))
    return tmp_path


def test_every_form_of_the_repository_is_read_with_the_right_class_counting(folder: Path) -> None:
    found = sets(folder)
    assert len(found) == 9
    given = {name: one for name, one in found.items() if isinstance(one, LabelledSet)}
    assert set(found) == set(given)  # counterfact is the built-in one
    label = {name: dict(zip(one.texts, one.labels, strict=True)) for name, one in given.items()}
    assert label["Cities"]["City 3 is in X."] == 1
    assert given["Cities"].groups[3] == "c3"
    assert label["CommonClaim"] == {"A is so.": 1, "B is so.": 0, "D is so.": 1, "E is so.": 0}
    assert label["STSA"]["film 3 , it is"] == 1
    assert given["STSA"].classes == ("negative", "positive")
    assert label["IMDb"]["film 2, long"] == 1
    assert label["Sarcasm"]["news 5"] == 1
    assert label["HateEval"]["tweet, 1"] == 1
    assert label["StrategyQA"]["q 1?"] == 1
    assert label["Coinflip"]["coin 0?"] == 0
    assert "built in: counterfact" in given["Counterfact"].about


def test_large_sets_are_cut_evenly_and_the_same_way_for_a_seed(folder: Path) -> None:
    found = sets(folder, most=6)
    for one in found.values():
        assert isinstance(one, LabelledSet)
        assert len(one.texts) <= 6
        assert max(one.counts) <= 3
    assert sets(folder, most=6) == found
    assert sets(folder, most=6, seed=1) != found


def test_what_is_missing_or_broken_is_a_sentence(tmp_path: Path) -> None:
    found = sets(tmp_path)
    assert "put it into the folder as imdb.csv" in str(found["IMDb"])
    assert isinstance(found["StrategyQA"], LabelledSet)
    (tmp_path / "hateeval.tsv").write_text("a\tb\n1\t2")
    (tmp_path / "imdb.csv").write_text("review,sentiment\nx,good")
    (tmp_path / "cities.csv").write_bytes(b"statement,label\n\xff\xfe,1")
    (tmp_path / "sarcasm.json").write_text("[1]")
    (tmp_path / "stsa.csv").write_text("sentence,label\na,1\nb,1")
    found = sets(tmp_path)
    assert "no column 'text'" in str(found["HateEval"])
    assert "no rows whose 'sentiment'" in str(found["IMDb"])
    assert "not UTF-8" in str(found["Cities"])
    assert "no list of examples" in str(found["Sarcasm"])
    assert "one class only" in str(found["STSA"])
    with pytest.raises(Error, match="no folder"):
        paper_sets.read(str(tmp_path / "none"))


def test_a_server_reads_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paper_sets, "hosted", lambda: True)
    with pytest.raises(Error, match="reads no files"):
        paper_sets.read(str(tmp_path))
    assert len(paper_sets.read("")) == 9


def test_all_curves_of_a_picture_are_one_table_and_others_stand_at_their_depth() -> None:
    m, other = api.load("embedded", device="cpu"), api.load("embedded-small", device="cpu")
    texts, labels = lines(40), [0, 1] * 20
    found = [ask(each, texts=texts, labels=labels, folds=2, C=0.01) for each in (m, other)]
    curves = together([("A", "set <b>", found[0]), ("B", "=set", found[1])])
    frame = curves.to_frame()
    assert len(frame) == sum(one.n_layers + 1 for one in found)
    assert set(CURVES) <= set(frame.columns)
    own = frame[frame.model == "B"]
    np.testing.assert_allclose(own.accuracy, found[1].accuracy)
    np.testing.assert_allclose(own.floor_words_alone, found[1].floor[1])
    assert own.depth.tolist()[-1] == 1.0
    assert curves.arrays()["curves/auc"].shape == (2, 7)
    fig = depth_many.multiples(
        [("set <b>", found[0])], Look(), others=[(0, "b", "<i>B</i>", found[1])]
    )
    assert len(fig.data) == depth_many.TRACES + 1
    assert fig.data[-1].x[-1] == found[0].n_layers
    assert "<i>B" not in fig.to_json()
