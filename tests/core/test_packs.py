"""Task packs: answers are single tokens, counterfactuals change the answer and little else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core import api
from core.corpus.packs import haystack, next_token, pack, pack_names, pack_sizes, plain_ids
from core.home import ASSETS
from core.models.loaded import Loaded
from core.models.tokens import decode
from core.spec.errors import Error
from core.spec.task_packs import TASK_PACKS


@pytest.fixture(scope="module")
def embedded() -> Loaded:
    return api.load(ASSETS / "models" / "embedded", device="cpu")


def available(loaded: Loaded) -> list[str]:
    return [name for name, (kept, _) in pack_sizes(loaded).items() if kept]


def test_every_answer_is_the_one_token_that_continues_its_prompt(embedded: Loaded) -> None:
    names = available(embedded)
    assert set(names) == set(pack_names()) == set(TASK_PACKS)
    for name in names:
        if name == "repeated_tokens":
            continue  # made of tokens, not of a text
        for case in pack(embedded, name).cases:
            prompt, answer = decode(embedded, case.ids), decode(embedded, (case.answer,))
            whole = plain_ids(embedded, decode(embedded, (*case.ids, case.answer)))
            assert whole[-1] == case.answer, (prompt, answer)


def test_a_counterfactual_has_the_other_answer_and_another_prompt(embedded: Loaded) -> None:
    for name in available(embedded):
        for case in pack(embedded, name).cases:
            assert case.answer != case.other
            assert case.ids != case.counterfactual
            if name in ("repeated_tokens", "needle_in_text"):
                assert case.answer in case.ids
                assert case.other in case.counterfactual
                assert case.other not in case.ids or name != "repeated_tokens"


def test_repeated_tokens_differ_from_their_counterfactual_at_one_place(embedded: Loaded) -> None:
    for case in pack(embedded, "repeated_tokens").cases:
        assert case.aligned
        places = [a != b for a, b in zip(case.ids, case.counterfactual, strict=True)]
        at = places.index(True)
        assert sum(places) == 1
        assert (case.ids[at], case.counterfactual[at]) == (case.answer, case.other)
        assert case.ids[at - 1] == case.ids[-1]


def test_the_number_that_remains_stands_beside_the_number_written(stories: Loaded) -> None:
    sizes = pack_sizes(stories)
    assert tuple(sizes) == pack_names()
    for name, (kept, written) in sizes.items():
        assert 0 <= kept <= written, name
        assert written >= 80
    assert sizes["repeated_tokens"][0] == sizes["repeated_tokens"][1]
    assert sizes["indirect_objects"][0] < sizes["indirect_objects"][1]  # 512 tokens: few names


def test_an_answer_of_several_tokens_or_of_the_unknown_token_is_none(stories: Loaded) -> None:
    assert next_token(stories, "Once upon a", " xylophone") is None
    assert next_token(stories, "Once upon a", " time") is not None


def test_a_task_unknown_an_encoder_and_a_task_without_cases_are_refused(
    tiny: Callable[[str], Path], llama: Loaded
) -> None:
    with pytest.raises(Error, match="no task 'nothing'; there are repeated_tokens"):
        pack(llama, "nothing")
    with pytest.raises(Error, match="does not continue a text"):
        pack(api.load(tiny("bert"), device="cpu"), "colours")
    with pytest.raises(Error, match=r"none of the \d+ cases of indirect_objects"):
        pack(llama, "indirect_objects")


def test_neutral_sentences_hold_no_needle() -> None:
    assert len(haystack()) == 900
    assert not any("password" in sentence for sentence in haystack())
