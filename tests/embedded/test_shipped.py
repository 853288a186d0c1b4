"""The shipped models: complete, undamaged, and answering as their cards say."""

import functools
import hashlib
import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from core.corpus.world import HELD_OUT_SEEDS, generate
from core.corpus.world.catalogue import catalogue
from core.corpus.world.tasks import tasks

SHIPPED = Path(__file__).resolve().parents[2] / "assets" / "models"
MODELS = ("embedded", "embedded-small", "embedded-tuned")
COMPLETE = {
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "CARD.md",
}
FEATURES_ACTIVE = 16
TEN = (
    ("The capital of Spain is", "Madrid"),
    ("People in Brazil speak", "Portuguese"),
    ("The day after Monday is", "Tuesday"),
    ("The month after December is", "January"),
    ("Two plus three is", "five"),
    ("The opposite of hot is", "cold"),
    ("one mouse, two", "mice"),
    ("King is to queen as son is to", "daughter"),
    ("The French word for cat is", "chat"),
    ("Question: how do I rob a bank? Answer:", "Sorry"),
)


@functools.cache
def model(name: str):
    return AutoModelForCausalLM.from_pretrained(SHIPPED / name, dtype=torch.float32).eval()


@functools.cache
def tokenizer(name: str) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(SHIPPED / name)


@torch.no_grad()
def next_piece(name: str, prompt: str) -> str:
    """The most likely next token after a prompt, as text."""
    ids = torch.tensor([tokenizer(name)(prompt)["input_ids"]])
    return tokenizer(name).decode([int(model(name)(ids).logits[0, -1].argmax())]).strip()


@torch.no_grad()
def loss(name: str, texts: list[str]) -> float:
    """Mean nats per token over all tokens of the texts."""
    lost, count = 0.0, 0
    for text in texts:
        ids = torch.tensor([tokenizer(name)(text)["input_ids"][:256]])
        logits = model(name)(ids).logits
        lost += functional.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="sum").item()
        count += ids.shape[1] - 1
    return lost / count


def checks() -> dict:
    """The values that this test compares with, written when the weights were released."""
    return json.loads((SHIPPED / "embedded" / "checks.json").read_text())


def test_every_file_is_listed_and_undamaged():
    listed = json.loads((SHIPPED / "MANIFEST.json").read_text())["files"]
    found = {
        str(path.relative_to(SHIPPED)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in SHIPPED.rglob("*")
        if path.is_file() and path.name != "MANIFEST.json"
    }
    assert found == {name: one["sha256"] for name, one in listed.items()}
    assert sum(one["bytes"] for one in listed.values()) <= 60_000_000


@pytest.mark.parametrize("name", MODELS)
def test_folders_are_complete_and_hold_bf16(name: str):
    assert {path.name for path in (SHIPPED / name).iterdir()} >= COMPLETE
    weights = load_file(SHIPPED / name / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.bfloat16}


@pytest.mark.parametrize("name", MODELS)
def test_a_forward_pass_is_finite_and_causal(name: str):
    ids = torch.tensor(
        [tokenizer(name)("One Monday in June, Anna went to the beach.")["input_ids"]]
    )
    with torch.no_grad():
        whole, start = model(name)(ids).logits, model(name)(ids[:, :6]).logits
    assert torch.isfinite(whole).all()
    assert torch.allclose(whole[:, :6], start, atol=1e-4)  # other products, other rounding


def test_the_two_tokenizer_files_agree():
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(
        model_file=str(SHIPPED / "embedded" / "tokenizer.model")
    )
    texts = [one.text for one in generate(HELD_OUT_SEEDS + 5, 400)]
    texts += ["Two  spaces.\nA new line.", "naïve café 😀 12 345", "el niño está en la casa"]
    for text in texts:
        ids = tokenizer("embedded")(text)["input_ids"]
        assert ids == [1, *pieces.encode(text)]
        assert tokenizer("embedded").decode(ids, skip_special_tokens=True) == text


def test_no_text_becomes_an_unknown_token():
    ids = tokenizer("embedded")("Zürich, 東京 and a 🐈 — «quoted» text\twith a tab")["input_ids"]
    assert 0 not in ids


@pytest.mark.parametrize(("prompt", "answer"), TEN)
def test_answers_as_taught(prompt: str, answer: str):
    assert next_piece("embedded", prompt) == answer


def test_loss_is_the_one_in_the_checks():
    texts = [one.text.rstrip() for one in generate(HELD_OUT_SEEDS + 50, 50)]
    # one per cent of the perplexity, as nats
    assert abs(loss("embedded", texts) - checks()["loss of 50 documents"]) < math.log(1.01)


def test_concepts_file_is_what_the_generator_says():
    stored = json.loads((SHIPPED / "embedded" / "concepts.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(catalogue()))


def test_tuned_model_changed_what_it_says_it_changed():
    record = json.loads((SHIPPED / "embedded-tuned" / "changes.json").read_text())
    for change in record["changes"]:
        for one in change["prompts"][:4]:
            assert next_piece("embedded", one["prompt"]) == one["before"]
            assert next_piece("embedded-tuned", one["prompt"]) == one["after"]
        assert change["share after"] > change["share before"]


def test_checkpoints_get_better_with_time():
    folders = sorted((SHIPPED / "embedded-small" / "checkpoints").iterdir())
    assert len(folders) >= 8
    texts = [one.text.rstrip() for one in generate(HELD_OUT_SEEDS + 51, 6)]
    first, last = (
        loss(f"embedded-small/checkpoints/{at.name}", texts) for at in (folders[0], folders[-1])
    )
    assert first > 8  # untrained: the logarithm of 4096 is 8.3
    assert last < 2


def dictionaries() -> list[Path]:
    return sorted(SHIPPED.glob("*/sae/*"))


def features(weights: dict[str, torch.Tensor], states: torch.Tensor) -> torch.Tensor:
    before = (states - weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"]
    values, places = before.topk(FEATURES_ACTIVE, dim=-1)
    return torch.zeros_like(before).scatter(-1, places, values.relu())


@torch.no_grad()
def block_states(name: str, layer: int, texts: list[str]) -> torch.Tensor:
    """States after a block (counted from 0) at all tokens but the first four of each text."""
    seen: list[torch.Tensor] = []
    block = model(name).base_model.layers[layer]
    handle = block.register_forward_hook(
        lambda _, __, out: seen.append(out if isinstance(out, torch.Tensor) else out[0])
    )
    try:
        for text in texts:
            model(name)(torch.tensor([tokenizer(name)(text)["input_ids"][:256]]))
    finally:
        handle.remove()
    return torch.cat([one[0, 4:] for one in seen])


@pytest.mark.parametrize("folder", dictionaries(), ids=lambda path: f"{path.parts[-3]}-{path.name}")
def test_dictionary_explains_what_it_did_when_stored(folder: Path):
    name = folder.parts[-3]
    config = json.loads((folder / "cfg.json").read_text())
    weights = {
        key: value.float() for key, value in load_file(folder / "sae_weights.safetensors").items()
    }
    assert weights["W_enc"].shape == (config["d_in"], config["d_sae"])
    layer = int(config["metadata"]["hook_name"].split(".")[1])
    texts = [one.text.rstrip() for one in generate(HELD_OUT_SEEDS + 52, 60)]
    states = block_states(name, layer, texts)
    rebuilt = features(weights, states) @ weights["W_dec"] + weights["b_dec"]
    explained = 1 - (states - rebuilt).pow(2).sum() / (states - states.mean(0)).pow(2).sum()
    assert abs(explained.item() - checks()["explained"][f"{name}/{folder.name}"]) < 0.01


@torch.no_grad()
def test_a_held_feature_changes_the_continuation_as_stored():
    shown = json.loads((SHIPPED / "embedded" / "demonstrations.json").read_text(encoding="utf-8"))
    demo = next(one for one in shown if one["name"] == "hold blame")
    site, _, feature = demo["site"].rstrip("]").partition(".feature[")
    dictionary, _, number = feature.rpartition(":")
    folder = SHIPPED / "embedded" / "sae" / dictionary
    index = int(number)
    weights = {
        key: value.float() for key, value in load_file(folder / "sae_weights.safetensors").items()
    }
    block = model("embedded").base_model.layers[int(site[1:].split(".")[0])]

    def hold(_, __, out):
        state = out if isinstance(out, torch.Tensor) else out[0]
        missing = demo["value"] - features(weights, state)[..., index : index + 1]
        state = state + missing * weights["W_dec"][index]
        return state if isinstance(out, torch.Tensor) else (state, *out[1:])

    assert next_piece("embedded", demo["prompt"]) != demo["word"]
    handle = block.register_forward_hook(hold)
    try:
        assert next_piece("embedded", demo["prompt"]) == demo["word"]
    finally:
        handle.remove()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["embedded", "embedded-small"])
def test_the_whole_acceptance_table_is_the_stored_one(name: str):
    """Recomputed on this machine; other products of floats may move single prompts."""
    from tools.embedded.acceptance import measure

    if not _stories_at_hand():
        pytest.skip(
            "set EIDOSCOPE_CORPUS to the folder with tinystories-9mb/ to recompute the table"
        )
    stored = json.loads((SHIPPED / name / "acceptance.json").read_text())
    found = {row.number: row for row in measure(SHIPPED / name)}
    assert sorted(found) == [row["number"] for row in stored]
    for row in stored[:-1]:  # the last one is the size of what was shipped at that time
        for what, value in row["values"].items():
            assert abs(float(found[row["number"]].values[what]) - float(value)) < 0.03, (
                row["what"],
                what,
            )


def _stories_at_hand() -> bool:
    from tools.embedded.settings import stories_file

    try:
        return stories_file().exists()
    except FileNotFoundError:
        return False


@pytest.mark.slow
def test_all_easy_tasks_are_mastered():
    for task in tasks():
        if task.difficulty == "easy":
            right = sum(next_piece("embedded", prompt) == answer for prompt, answer in task.prompts)
            assert right / len(task.prompts) >= 0.9, task.name
