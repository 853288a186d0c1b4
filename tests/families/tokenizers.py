"""Tiny tokenizers, built from a few sentences, with the special tokens of each family.

Everything is spelled out in code, so the same files come out on every machine.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

SENTENCES = (
    "Yesterday Tom walked to the old house. Then he opened the door and saw a cat.",
    "The red cat and the blue dog play in the garden near the river.",
    "Anna has three apples. She gives one apple to Tom and keeps two.",
    "In London the rain falls all day. In Paris the sun shines all day.",
    "He said: the king of France met the queen of Spain in 1842.",
    "One, two, three, four, five, six. She walked home, then she slept.",
)
VOCAB_SIZE = 300


def write(kind: str, folder: Path) -> int:
    """Write tokenizer.json and tokenizer_config.json; returns how many ids there are."""
    tokenizer, config = KINDS[kind]()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"model_max_length": 64, "clean_up_tokenization_spaces": False, **config}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))
    return tokenizer.get_vocab_size()


def _byte_level(specials: tuple[str, ...], last: bool = False) -> Tokenizer:
    """Byte-pair encoding over bytes; the special tokens take the first ids, or the last."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE - (len(specials) if last else 0),
        special_tokens=[] if last else list(specials),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.add_special_tokens(list(specials))
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def _around(tokenizer: Tokenizer, before: str = "", after: str = "") -> Tokenizer:
    """Let the tokenizer add a special token in front of a text, or behind it."""
    parts = [part for part in (before, "$A", after) if part]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=" ".join(parts),
        pair=" ".join([*parts, *parts]).replace("$A", "$B").replace("$B", "$A", 1),
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (before, after) if name],
    )
    return tokenizer


def gpt2() -> tuple[Tokenizer, dict[str, Any]]:
    """Adds nothing; one end token, the last id."""
    end = "<|endoftext|>"
    config = {"tokenizer_class": "GPT2Tokenizer", "bos_token": end, "eos_token": end}
    return _byte_level((end,), last=True), {**config, "unk_token": end}


def neox() -> tuple[Tokenizer, dict[str, Any]]:
    """Adds nothing; the end token comes first."""
    end = "<|endoftext|>"
    config = {"tokenizer_class": "GPTNeoXTokenizer", "bos_token": end, "eos_token": end}
    return _byte_level((end, "<|padding|>")), {**config, "unk_token": end}


def opt() -> tuple[Tokenizer, dict[str, Any]]:
    """Adds `</s>` in front."""
    tokenizer = _around(_byte_level(("<s>", "<pad>", "</s>", "<unk>")), "</s>")
    config = {"bos_token": "</s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "</s>"}
    return tokenizer, {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, **config}


def generic() -> tuple[Tokenizer, dict[str, Any]]:
    """Byte level with an end token and nothing added (BLOOM, Falcon, Granite, OLMo 2)."""
    tokenizer = _byte_level(("<unk>", "<s>", "</s>", "<pad>"))
    config = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    return tokenizer, {"tokenizer_class": "PreTrainedTokenizerFast", **config}


def qwen() -> tuple[Tokenizer, dict[str, Any]]:
    """Adds nothing; has no beginning token."""
    ends = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    config = {"tokenizer_class": "Qwen2Tokenizer", "eos_token": ends[2], "pad_token": ends[0]}
    return _byte_level(ends, last=True), {**config, "bos_token": None, "unk_token": None}


def cohere() -> tuple[Tokenizer, dict[str, Any]]:
    """Adds `<BOS_TOKEN>` in front."""
    specials = ("<PAD>", "<UNK>", "<CLS>", "<SEP>", "<MASK_TOKEN>", "<BOS_TOKEN>")
    tokenizer = _around(_byte_level((*specials, "<|END_OF_TURN_TOKEN|>")), "<BOS_TOKEN>")
    config = {"bos_token": "<BOS_TOKEN>", "eos_token": "<|END_OF_TURN_TOKEN|>"}
    config |= {"pad_token": "<PAD>", "unk_token": "<UNK>"}
    return tokenizer, {"tokenizer_class": "CohereTokenizer", "add_bos_token": True, **config}


def roberta() -> tuple[Tokenizer, dict[str, Any]]:
    """Adds `<s>` in front and `</s>` behind; has a mask token."""
    tokenizer = _byte_level(("<s>", "<pad>", "</s>", "<unk>", "<mask>"))
    ends = [(name, tokenizer.token_to_id(name)) for name in ("</s>", "<s>")]
    tokenizer.post_processor = processors.RobertaProcessing(*ends, add_prefix_space=False)
    config = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
    config |= {"unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"}
    return tokenizer, {"tokenizer_class": "RobertaTokenizer", **config}


def _pieces(specials: tuple[str, ...]) -> tuple[Tokenizer, list[str]]:
    """Byte-pair encoding over pieces marked with `▁`, all 256 bytes as a fallback."""
    characters = sorted(set("".join(SENTENCES).replace(" ", "")) | {"▁"})
    start = [*specials, *(f"<0x{byte:02X}>" for byte in range(256)), *characters]
    marked = ["▁" + text.replace(" ", "▁") for text in SENTENCES]
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    size = len(characters) + 60
    learner.train_from_iterator(
        marked,
        trainers.BpeTrainer(vocab_size=size, initial_alphabet=characters, show_progress=False),
    )
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    vocab = {piece: number for number, piece in enumerate(start)}
    for left, right in merges:
        vocab.setdefault(left + right, len(vocab))
    model = models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    return Tokenizer(model), list(specials)


def llama() -> tuple[Tokenizer, dict[str, Any]]:
    """Adds `<s>` in front; a text gets a leading `▁`."""
    tokenizer, specials = _pieces(("<unk>", "<s>", "</s>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    _decode_pieces(tokenizer, strip=1)
    tokenizer.add_special_tokens(specials)
    config = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    config |= {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False}
    return _around(tokenizer, "<s>"), {**config, "legacy": True}


def gemma() -> tuple[Tokenizer, dict[str, Any]]:
    """Adds `<bos>` in front; no leading `▁`."""
    tokenizer, specials = _pieces(("<pad>", "<eos>", "<bos>", "<unk>", "<mask>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    _decode_pieces(tokenizer, strip=0)
    tokenizer.add_special_tokens(specials)
    config = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}
    config |= {"pad_token": "<pad>", "mask_token": "<mask>", "add_bos_token": True}
    return _around(tokenizer, "<bos>"), {"tokenizer_class": "GemmaTokenizer", **config}


def _decode_pieces(tokenizer: Tokenizer, strip: int) -> None:
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(steps + [decoders.Strip(" ", strip, 0)] * bool(strip))


def bert() -> tuple[Tokenizer, dict[str, Any]]:
    """Adds `[CLS]` in front and `[SEP]` behind; lower case; has a mask token."""
    specials = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    words = Counter(word for text in SENTENCES for word in _words(text.lower()))
    characters = sorted({character for word in words for character in word})
    frequent = [word for word in sorted(words, key=lambda w: (-words[w], w)) if len(word) > 1][:60]
    pieces = [*specials, *characters, *(f"##{c}" for c in characters), *frequent]
    vocab = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(list(specials))
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    config = dict(zip(names, specials, strict=True))
    config |= {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    return _around(tokenizer, "[CLS]", "[SEP]"), config


def _words(text: str) -> list[str]:
    return [word for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(text)]


def t5() -> tuple[Tokenizer, dict[str, Any]]:
    """Unigram pieces; adds `</s>` behind; has sentinels `<extra_id_0>` ... for gaps."""
    words = Counter(word for text in SENTENCES for word in text.split())
    total = sum(words.values())
    scored = {"▁" + word: -10.0 * (1 - count / total) for word, count in words.items()}
    characters = sorted(set("".join(words)) | {"▁"})
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -20.0)]
    pieces += sorted(scored.items()) + [(character, -14.0) for character in characters]
    sentinels = [f"<extra_id_{number}>" for number in range(3)]
    pieces += [(name, 0.0) for name in reversed(sentinels)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>", *sentinels])
    config = {"tokenizer_class": "T5Tokenizer", "eos_token": "</s>", "unk_token": "<unk>"}
    config |= {"pad_token": "<pad>", "extra_ids": 3, "additional_special_tokens": sentinels}
    return _around(tokenizer, after="</s>"), config


KINDS = {
    maker.__name__: maker
    for maker in (gpt2, neox, opt, generic, qwen, cohere, roberta, llama, gemma, bert, t5)
}
