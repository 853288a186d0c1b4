"""What a person adds from a page: dictionaries, other readings of them, labels of features."""

import math
from pathlib import Path

import pytest

from core import answers, api
from core.dictionaries import findings, names
from core.dictionaries.save import save
from core.galleries import labels
from core.models.loaded import Loaded
from core.queue import Progress, Work
from core.results.base import Result
from core.spec.errors import Error
from core.spec.request import ModelRef, ask
from tests.core.small_dictionaries import at_place


@pytest.fixture
def m(folder: Path) -> Loaded:
    """A tiny Llama in a folder of its own, loaded anew."""
    return api.load(folder, device="cpu")


@pytest.fixture
def made(m: Loaded, tmp_path: Path) -> str:
    """A dictionary of its L1.resid_post, on disk."""
    save(at_place(m, "L1.resid_post", seed=1), tmp_path / "made")
    return str(tmp_path / "made")


def asked(analysis: str, m: Loaded, **options: object) -> Result:
    """As a page asks: through the door of questions, which keeps answers."""
    progress = Progress(Work("k", "", None), lambda: None)
    return answers.answer(ask(analysis, ModelRef(str(m.folder)), **options), progress)


def test_a_path_becomes_a_name_that_other_analyses_know(m: Loaded, made: str) -> None:
    before = asked("dictionaries", m).names
    found = asked("add_dictionary", m, path=made, name="mine")
    assert (found.dictionary, found.site, found.n_features) == ("mine", "L1.resid_post", 24)
    assert set(asked("dictionaries", m).names) - set(before) == {"mine"}
    with pytest.raises(Error, match="take another name"):
        asked("add_dictionary", m, path=made, name="mine")


def test_a_better_reading_is_kept_under_a_new_name_on_top_of_the_old_one(
    m: Loaded, made: str
) -> None:
    asked("add_dictionary", m, path=made, name="mine", site="L0.resid_post")
    found = asked("add_dictionary", m, again="mine", name="mine-2", norm="layernorm")
    assert found.site == "L0.resid_post"
    entry = names.entries(m.folder)["mine-2"]
    assert entry.reading == {"site": "L0.resid_post", "norm": "layernorm"}
    assert entry.promised != names.entries(m.folder)["mine"].promised


def test_a_reading_that_does_not_fit_leaves_no_name(m: Loaded, made: str) -> None:
    asked("add_dictionary", m, path=made, name="mine")
    with pytest.raises(Error):
        asked("add_dictionary", m, again="mine", name="mine-2", site="L7.resid_post")
    with pytest.raises(Error, match="there are: mine"):
        asked("add_dictionary", m, again="other", name="x")
    with pytest.raises(Error, match="say which"):
        asked("add_dictionary", m, name="x")
    assert set(names.entries(m.folder)) == {"mine"}


def test_a_label_of_ones_own_stands_above_others_until_it_is_taken_away(
    m: Loaded, made: str
) -> None:
    asked("add_dictionary", m, path=made, name="mine")
    fingerprint = m.dictionaries["mine"].about.fingerprint
    labels.write_ruled(fingerprint, {3: labels.Label("a rule", 0.9, 0.1, "rule")})
    for text in ("dogs", "cats", "dogs"):
        asked("name_feature", m, dictionary="mine", feature=3, label=f" {text}\n")
        kept = labels.of("", fingerprint)[3]
        assert (kept.text, kept.by) == (text, "yours")
        assert math.isnan(kept.score)
    asked("name_feature", m, dictionary="mine", feature=3, label="")
    assert labels.of("", fingerprint)[3].text == "a rule"


@pytest.mark.parametrize(("feature", "label"), [(24, "x"), (-1, "x"), (0, "x" * 121), (True, "x")])
def test_what_is_no_feature_or_no_label_is_refused(
    m: Loaded, made: str, feature: int, label: str
) -> None:
    asked("add_dictionary", m, path=made, name="mine")
    with pytest.raises(Error):
        asked("name_feature", m, dictionary="mine", feature=feature, label=label)
    assert labels.added(m.dictionaries["mine"].about.fingerprint) == {}


def test_an_answer_that_shows_labels_is_another_one_after_a_label_and_others_stay(
    m: Loaded, made: str
) -> None:
    asked("add_dictionary", m, path=made, name="mine")
    shows = [ask(name, ModelRef(str(m.folder)), dictionary="mine") for name in findings.LABELLED]
    plain = ask("feature_lens", ModelRef(str(m.folder)), dictionary="mine", feature=1)
    before = [(names.stamp(one), names.salt(one)) for one in (*shows, plain)]
    asked("name_feature", m, dictionary="mine", feature=1, label="dogs")
    after = [(names.stamp(one), names.salt(one)) for one in (*shows, plain)]
    assert all(a != b and c != d for (a, c), (b, d) in zip(before[:-1], after[:-1], strict=True))
    assert before[-1] == after[-1]


def test_a_server_for_visitors_keeps_nothing_of_them(
    m: Loaded, made: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked("add_dictionary", m, path=made, name="mine")
    monkeypatch.setenv("EIDOSCOPE_HOSTED", "1")
    for name, options in (
        ("add_dictionary", {"path": made, "name": "x"}),
        ("add_dictionary", {"again": "mine", "name": "x"}),
        ("name_feature", {"dictionary": "mine", "feature": 1, "label": "x"}),
        ("train_dictionary", {"site": "L1.resid_post", "name": "x"}),
    ):
        with pytest.raises(Error, match="this server keeps no"):
            api.run(name, m, **options)
    assert set(names.entries(m.folder)) == {"mine"}
