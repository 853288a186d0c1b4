"""The page Features with the real engine on tiny models: every way, every question, any family."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from core import api
from core.dictionaries.save import save
from core.spec.request import ModelRef
from core.spec.workspace import Selection, Workspace
from tests.core.small_dictionaries import at_place
from tests.pages.fake import notes, query, texts, visit

PATIENCE = 200.0  # seconds; a busy machine is slow, not wrong
# family: a site of which it has a dictionary, and what its answers lack
FAMILIES = {"llama": "L1.resid_post", "bert": "L1.resid_post", "t5": "enc.L1.resid_post"}
pytestmark = pytest.mark.usefixtures("kept_answers")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    words = ("cat", "dog", "mat", "sun")
    lines = [
        {"text": f"the {one} sat on the {other} {n % 10} and ran"}
        for n in range(8)
        for one in words
        for other in words
    ]
    file = tmp_path_factory.mktemp("corpus") / "words.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return str(file)


@pytest.fixture(scope="module")
def model(
    tiny: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """A folder of the family with a dictionary of its own in sae/."""
    place = tmp_path_factory.mktemp("models")

    def made(family: str) -> str:
        folder = place / family
        if not folder.exists():
            shutil.copytree(tiny(family), folder)
            loaded = api.load(folder, device="cpu")
            save(at_place(loaded, FAMILIES[family]), folder / "sae" / "small")
        return str(folder)

    return made


def opened(model: str, corpus: str, **choices: str) -> str:
    """What the page says; nothing on it may have gone wrong."""
    state = Workspace((ModelRef(model),), "the cat sat on the mat", Selection(feature=3))
    for name, value in ({"corpus": corpus} | choices).items():
        state = state.with_choice(name, value)
    at = visit("features", query(state), seconds=PATIENCE)
    said = texts(at) + " ".join(notes(at))
    assert "Something went wrong" not in said
    return said


@pytest.mark.parametrize("family", FAMILIES)
def test_the_wall_and_the_card_of_any_family(
    family: str, model: Callable[[str], str], corpus: str
) -> None:
    said = opened(model(family), corpus)
    assert f"{FAMILIES[family]}.feature[small:3]" in said
    assert "24 features of 24" in said
    assert "of tokens" in said


@pytest.mark.parametrize(
    ("way", "choices", "heard"),
    [
        ("text", {}, "What fires on my text"),
        ("text", {"drawn": "error"}, "What fires on my text"),
        ("made", {}, "Which features made this"),
        ("pattern", {"regex": "(dog|cat)"}, "Which features fire on the pattern"),
        ("pattern", {"regex": "("}, "Not possible"),
        ("concept", {"concept": "gender"}, "Which features carry"),
        ("map", {}, "Map of small"),
        ("scatter", {}, "How often and how strongly"),
        ("book", {"study": "dictionary_report"}, "Health of the dictionaries"),
        ("book", {"study": "dictionary_check"}, "Is the dictionary read"),
        ("book", {"study": "dictionary_compare"}, "no other"),
        ("book", {"study": "feature_geometry"}, "too few for lobes"),
        ("train", {}, "Learns a dictionary"),
    ],
)
def test_every_way_to_look_for_features_has_its_answer(
    way: str, choices: dict[str, str], heard: str, model: Callable[[str], str], corpus: str
) -> None:
    assert heard in opened(model("llama"), corpus, features=way, **choices)


@pytest.mark.parametrize(
    ("asks", "choices", "heard"),
    [
        ("writes", {}, "writes"),
        ("writes", {"seen": "all"}, "writes"),
        ("causes", {}, "causes"),
        ("near", {}, "What is near"),
        ("near", {"seen": "neurons"}, "What is near"),
        ("rule", {}, "Blind test"),
        ("rule", {"named": "animals"}, "Does it hold"),
    ],
)
@pytest.mark.parametrize("family", ["llama", "bert"])
def test_every_question_about_a_feature_has_its_answer_or_a_sentence(
    asks: str,
    choices: dict[str, str],
    heard: str,
    family: str,
    model: Callable[[str], str],
    corpus: str,
) -> None:
    said = opened(model(family), corpus, asks=asks, **choices)
    assert heard in said or (family == "bert" and "eido-error" in said)
