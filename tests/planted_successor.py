"""A model in which one head of random ones turns a number, month or day into the next one."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from core.models.library import transformers

NUMBERS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
)
MONTHS = "January February March April May June July August September October November December"
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
CLASSES = tuple(tuple(words.split()) for words in (NUMBERS, MONTHS, DAYS))
IDLE = 41  # words that belong to no list
WIDTH, HEADS, NOISE = 256, 4, 0.05
SUCCESSOR = (2, 1)  # (layer, head)


def successor(folder: Path) -> Path:
    """Three layers of random weights, embedding and unembedding orthonormal.

    L2.head[1] takes a word's embedding to a coordinate of its own, and that to the unembedding of
    the next word; months and days end where they begin.
    """
    words = ["<bos>", *(word for each in CLASSES for word in each)]
    words += [f"idle{number}" for number in range(IDLE - 1)]
    config = transformers.LlamaConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=80,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = transformers.LlamaForCausalLM(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.copy_(NOISE * torch.randn(weight.shape, generator=generator))
        rows = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator)).Q
        enter, say = rows[: len(words)], rows[len(words) : 2 * len(words)]
        model.model.embed_tokens.weight.copy_(enter)
        model.lm_head.weight.copy_(say)
        attn, size = model.model.layers[SUCCESSOR[0]].self_attn, WIDTH // HEADS
        own = slice(SUCCESSOR[1] * size, (SUCCESSOR[1] + 1) * size)
        value, out = attn.v_proj.weight[own].zero_(), attn.o_proj.weight[:, own].zero_()
        unit = 0
        for each in CLASSES:
            ids = [words.index(word) for word in each]
            for here, after in zip(ids, [*ids[1:], ids[0]], strict=True):
                value[unit] = enter[here]
                out[:, unit] = say[after]
                unit += 1
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    names = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(names, unk_token="idle0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", 0)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", unk_token="idle0", model_max_length=80
    ).save_pretrained(folder)
    return folder
