"""An edited model on disk: proved twice, never over anything, hosted never outside the home."""

import json
from pathlib import Path

import numpy as np
import pytest

from core import api
from core.analyses import edited as analysis
from core.models import folders
from core.models.loaded import Loaded
from core.spec.interventions import from_plain

VECTOR = np.linspace(-1, 1, 64)


def test_an_exported_folder_is_a_model_of_its_own_and_answers_as_the_changes_do(
    stories: Loaded, tmp_path: Path
) -> None:
    changes = [*api.everywhere(stories, VECTOR), api.Ablate("L2.neuron[5]")]
    result = api.export_edited(stories, changes, tmp_path / "new")
    again = api.load(tmp_path / "new")
    text = "Once upon a time there was a dog"
    wanted = api.logits(stories, text, changes)
    np.testing.assert_allclose(api.logits(again, text), wanted, atol=1e-4 * np.abs(wanted).max())
    assert np.abs(api.logits(stories, text) - wanted).max() > 0.1
    assert result.difference[0] < 1e-4 * result.largest[0]
    assert result.kl[0] > 0
    assert result.after[0] == api.generate(again, result.prompts[0], max_new_tokens=30)
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert {"config.json", "model.safetensors", "changes.json", "REPORT.md"} <= names
    assert set(result.files) == names
    assert names & {"tokenizer.json", "tokenizer.model"}
    stored = json.loads((tmp_path / "new" / "changes.json").read_text())
    assert [from_plain(one) for one in stored["changes"]] == changes
    report = (tmp_path / "new" / "REPORT.md").read_text()
    assert "random changes" in report
    assert "L2.neuron[5]" in report


def test_nothing_is_overwritten_and_nothing_is_left_behind(
    stories: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    change = [api.Ablate("L2.neuron[5]")]
    with pytest.raises(api.Error, match="exists already"):
        api.export_edited(stories, change, tmp_path / "there")

    def broken(*_: object) -> None:
        raise api.Error("no space")

    monkeypatch.setattr(analysis, "_describe", broken)
    with pytest.raises(api.Error, match="no space"):
        api.export_edited(stories, change, tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir() if path.name != "eidoscope-home"] == ["there"]


def test_an_edit_that_is_not_exact_is_not_written(tiny, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    m = api.load(tiny("bloom"))  # a norm follows its embedding
    with pytest.raises(api.Error, match="differ from the changes by"):
        api.export_edited(m, api.everywhere(m, np.linspace(-1, 1, 36)), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_plain_name_is_a_folder_of_the_home(stories: Loaded) -> None:
    result = api.export_edited(stories, [api.Ablate("L2.neuron[5]")], "without a neuron")
    assert Path(result.folder) == folders.written()[0]
    with pytest.raises(api.Error, match="exists already"):
        api.export_edited(stories, [api.Ablate("L2.neuron[5]")], "without a neuron")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "Give a name"),
        ("..", "neither a plain name"),
        ("a/b", "neither a plain name"),
        (".hidden", "neither a plain name"),
        ("a\nb", "neither a plain name"),
    ],
)
def test_a_folder_needs_a_name_or_a_whole_path(name: str, says: str) -> None:
    with pytest.raises(api.Error, match=says):
        folders.target(name)


@pytest.mark.parametrize("name", ["/tmp/x", "../x", "~/x", "a/../../x", "C:\\x", "a/b"])
def test_in_hosted_mode_nothing_is_written_outside_the_home(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EIDOSCOPE_HOSTED", "1")
    with pytest.raises(api.Error, match="no plain name"):
        folders.target(name)


def test_a_hosted_server_keeps_a_bounded_number_of_edited_models(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EIDOSCOPE_HOSTED", "1")
    root = folders.target("one").parent
    for number in range(folders.MOST_HOSTED):
        (root / str(number)).mkdir(parents=True)
        (root / str(number) / "config.json").write_text("{}")
    with pytest.raises(api.Error, match="at most 20 edited models"):
        folders.target("one more")
