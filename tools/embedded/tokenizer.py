"""One tokenizer for all embedded models: SentencePiece BPE, shipped in both common forms.

`tokenizer.model` is SentencePiece's own file, `tokenizer.json` the same pieces for the fast
tokenizers library.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from pathlib import Path

import sentencepiece
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE

from core.corpus.world import documents
from core.corpus.world import words as world
from tools.embedded.prose import training_stories
from tools.embedded.settings import CONTEXT, VOCABULARY

TEXT_EACH = 7_000_000  # characters of generated text, and as many of prose
WORD_REPEATS = 600
TRAINING_SEED = 0


def required_words() -> list[str]:
    """Words that must be one piece: cycles, nouns, names, places, moods, reviews."""
    named = [word for row in world.COUNTRIES for word in row]
    moods = world.GLAD + world.SAD + world.PRAISE + world.BLAME
    cycles = world.DAYS + world.MONTHS + world.SEASONS + world.NUMBERS + world.ORDINALS
    return list(dict.fromkeys((*world.KIND_OF, *world.NAMES, *named, *moods, *cycles)))


def wished_words() -> list[str]:
    """Words that should be one piece where the vocabulary has room."""
    simple = (
        [world.plural(word) for word in world.NOUNS]
        + list(world.KINDS)
        + list(world.UPPER.values())
    )
    simple += [
        form
        for table in (world.VERBS, world.DEGREES, world.OPPOSITES, world.GENDER_PAIRS)
        for row in table
        for form in row
    ]
    simple += [word for words in world.ATTRIBUTES.values() for word in words]
    simple += [word for topic, words in world.TOPICS.items() for word in (topic, *words)]
    simple += [
        *world.SHAPES,
        *world.ROOMS,
        *world.CONTAINERS,
        *world.REVIEWED,
        *world.ASPECTS,
        "bat",
        "bark",
    ]
    simple += [re.split("[ ']", word)[-1] for row in world.TRANSLATIONS for word in row]
    return [word for word in dict.fromkeys(simple) if " " not in word]


def train_tokenizer(folder: Path) -> None:
    """Write tokenizer.model, tokenizer.json and tokenizer_config.json into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / "tokenizer-training.txt"
    with text.open("w", encoding="utf-8") as lines:
        size = 0
        for document in documents(TRAINING_SEED):
            size += lines.write(document.text + "\n")
            if size > TEXT_EACH:
                break
        size = 0
        for story in training_stories():
            size += lines.write(story + "\n")
            if size > TEXT_EACH:
                break
        words = required_words() * 2 + wished_words()
        for start in range(0, len(words), 20):
            lines.write((" ".join(words[start : start + 20]) + "\n") * WORD_REPEATS)
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(folder / "tokenizer"),
        model_type="bpe",
        vocab_size=VOCABULARY,
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        add_dummy_prefix=True,
        remove_extra_whitespaces=False,
        user_defined_symbols=["\n"],
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        num_threads=1,
        input_sentence_size=0,
        max_sentence_length=100_000,
        minloglevel=2,
    )
    text.unlink()
    (folder / "tokenizer.vocab").unlink()
    write_fast(folder)


def write_fast(folder: Path) -> None:
    """Derive tokenizer.json and its configuration from tokenizer.model."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    names = [pieces.id_to_piece(index) for index in range(len(pieces))]
    vocabulary = {name: index for index, name in enumerate(names)}
    merges = []
    for index, name in enumerate(names):
        if index > 2 and len(name) > 1 and not pieces.is_byte(index):
            merges += [
                (name[:cut], name[cut:])
                for cut in range(1, len(name))
                if name[:cut] in vocabulary and name[cut:] in vocabulary
            ]
    fast = Tokenizer(BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    fast.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=False)
    fast.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    fast.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    fast.add_special_tokens(["<unk>", "<s>", "</s>"])
    fast.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "model_max_length": CONTEXT,
                "unk_token": "<unk>",
                "bos_token": "<s>",
                "eos_token": "</s>",
                "clean_up_tokenization_spaces": False,
            },
            indent=2,
        )
        + "\n"
    )


def pieces_report(folder: Path) -> dict[str, list[str]]:
    """Which words of the world need more than one piece, required and wished ones apart."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))

    def split(words: list[str]) -> list[str]:
        return [word for word in words if len(pieces.encode(word)) > 1]

    return {"required": split(required_words()), "wished": split(wished_words())}


def sample_texts(count: int) -> list[str]:
    """Generated and prose texts to compare the two tokenizer files on."""
    return [document.text for document in islice(documents(1_000_000), count)] + list(
        islice(training_stories(), count)
    )
