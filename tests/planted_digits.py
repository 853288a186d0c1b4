"""A model whose numbers are a tens part and a last digit, and a head that counts the digit on."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from core.models.library import transformers

NUMBERS = tuple(str(number) for number in range(1, 200))
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven")
IDLE = tuple(f"idle{number}" for number in range(20))
WIDTH, HEADS, NOISE = 256, 4, 0.02
COUNTER = (1, 2)  # (layer, head)
TENS, DIGITS = 20, 10


def digits(folder: Path) -> Path:
    """Two layers. A number enters as tens[n // 10] + digit[n % 10] and is said likewise.

    L1.head[2] keeps the tens and says the digit behind the one it sees, 0 behind 9. The words one
    to eleven enter with the same digits, each beside a direction of its own.
    """
    words = ["<bos>", *NUMBERS, *WORDS, *IDLE]
    config = transformers.LlamaConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
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
        basis = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator)).Q
        tens, digit = basis[:TENS], basis[TENS : TENS + DIGITS]
        say_tens, say_digit = basis[30 : 30 + TENS], basis[50 : 50 + DIGITS]
        enter, say = model.model.embed_tokens.weight, model.lm_head.weight
        for token, word in enumerate(words):
            if word.isdigit():
                enter[token] = tens[int(word) // 10] + digit[int(word) % 10]
                say[token] = say_tens[int(word) // 10] + say_digit[int(word) % 10]
            elif word in WORDS:
                place = WORDS.index(word)
                enter[token] = digit[(place + 1) % 10] + basis[60 + place]
        attn, size = model.model.layers[COUNTER[0]].self_attn, WIDTH // HEADS
        own = slice(COUNTER[1] * size, (COUNTER[1] + 1) * size)
        value, out = attn.v_proj.weight[own].zero_(), attn.o_proj.weight[:, own].zero_()
        value[:TENS], out[:, :TENS] = tens, say_tens.T
        value[TENS : TENS + DIGITS] = digit
        out[:, TENS : TENS + DIGITS] = say_digit.roll(-1, 0).T
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
