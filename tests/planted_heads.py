"""Models in which two heads do a known thing: one looks one token back, one continues a repeat.

Two layers, four heads, no MLP. The stream is cut into blocks of coordinates: the token, the token
before, what is said next and (in GPT-2 form) the position, one coordinate for each.
"""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn

from core.models.library import transformers

WORDS, POSITIONS, WIDTH = 33, 64, 256
TOKEN, BEFORE, SAYS = (torch.arange(at, at + WORDS) for at in (0, 33, 66))
PLACE = torch.arange(99, 99 + POSITIONS)
NOISE = 0.02  # standard deviation of the weights that nothing was planted in
# (layer, head) of the two heads in either form
GPT2_PREVIOUS, GPT2_INDUCTION = (0, 0), (1, 0)
LLAMA_PREVIOUS, LLAMA_INDUCTION = (0, 1), (1, 2)
BACK = 10  # rotary pairs that tell a distance of one


def gpt2(folder: Path, *, back: float = 1.6, match: float = 1.6) -> Path:
    """The two heads by position and content; smaller factors (0.7, 0.5) leave attention soft.

    L0.head[0] looks from position i at i - 1 and writes that token into its own block;
    L1.head[0] looks where that block holds the query's token, and says the token it finds.
    """
    config = transformers.GPT2Config(
        vocab_size=WORDS,
        n_positions=POSITIONS,
        n_embd=WIDTH,
        n_layer=2,
        n_head=4,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = transformers.GPT2LMHeadModel(config)
    _silence(model, ("c_attn.weight", "attn.c_proj.weight"))
    with torch.no_grad():
        model.transformer.wte.weight[:, TOKEN] = torch.eye(WORDS)
        model.transformer.wpe.weight[:, PLACE] = torch.eye(POSITIONS)
        model.lm_head.weight[:, SAYS] = torch.eye(WORDS)
        first, second = (block.attn for block in model.transformer.h)
        place, word = torch.arange(POSITIONS), torch.arange(WORDS)
        query, key, value, out = _gpt2_head(first, 0)
        query[PLACE, (place - 1).clamp_min(0)] = back
        key[PLACE, place] = back
        value[TOKEN, word] = 1.0
        out[word, BEFORE] = 0.1
        query, key, value, out = _gpt2_head(second, 0)
        query[TOKEN, word] = match
        key[BEFORE, word] = match
        value[TOKEN, word] = 1.0
        out[word, SAYS] = 0.25
    return _written(model, folder)


def _gpt2_head(attn: Any, head: int) -> tuple[torch.Tensor, ...]:
    """Views of a head's query, key, value [d_model, d_head] and output [d_head, d_model], at 0."""
    size = WIDTH // 4
    own = slice(head * size, (head + 1) * size)
    parts = [attn.c_attn.weight[:, at * WIDTH :][:, own] for at in range(3)]
    parts.append(attn.c_proj.weight[own])
    return tuple(part.zero_() for part in parts)


def llama(folder: Path) -> Path:
    """The same with rotary embedding and two query heads on each key head.

    L0.head[1] finds the distance of one by its biases alone, in the ten fastest rotary pairs;
    L1.head[2] matches content in the slowest, which hardly turn.
    """
    config = transformers.LlamaConfig(
        vocab_size=WORDS,
        hidden_size=WIDTH,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=128,
        attention_bias=True,
        max_position_embeddings=POSITIONS,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = transformers.LlamaForCausalLM(config)
    _silence(model, ("q_proj.weight", "k_proj.weight", "v_proj.weight", "o_proj.weight"))
    speed = model.model.rotary_emb.inv_freq[:BACK]
    with torch.no_grad():
        model.model.embed_tokens.weight[:, TOKEN] = torch.eye(WORDS)
        model.lm_head.weight[:, SAYS] = torch.eye(WORDS)
        first, second = (layer.self_attn for layer in model.model.layers)
        word, fast = torch.arange(WORDS), torch.arange(BACK)
        _, _, value, out = _llama_head(first, 1, 0)
        first.q_proj.bias[128 + fast] = 11.0
        first.k_proj.bias[fast] = 11.0 * speed.cos()
        first.k_proj.bias[64 + fast] = 11.0 * speed.sin()
        value[word, TOKEN] = 1.0
        out[BEFORE, word] = 1 / 16
        query, key, value, out = _llama_head(second, 2, 1)
        query[63 - word, TOKEN] = 1.2
        key[63 - word, BEFORE] = 1.2
        value[word, TOKEN] = 1.0
        out[SAYS, word] = 1.0
    return _written(model, folder)


def _llama_head(attn: Any, head: int, shared: int) -> tuple[torch.Tensor, ...]:
    """Views of query, key, value [d_head, d_model] and output [d_model, d_head], at 0.

    The other query head of this key head nearly falls silent: it reads what was planted.
    """
    own, common = slice(head * 128, head * 128 + 128), slice(shared * 128, shared * 128 + 128)
    attn.o_proj.weight[:, shared * 256 : shared * 256 + 256] *= 0.02
    parts = (attn.q_proj.weight[own], attn.k_proj.weight[common], attn.v_proj.weight[common])
    return (*(part.zero_() for part in parts), attn.o_proj.weight[:, own])


def _silence(model: nn.Module, noisy: tuple[str, ...]) -> None:
    """Every weight 0, norms 1, and a little noise where the names end like these."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(noisy):
                weight.copy_(NOISE * torch.randn(weight.shape, generator=generator))
            elif weight.ndim == 1 and name.endswith("weight"):
                weight.fill_(1.0)
            else:
                weight.zero_()


def _written(model: Any, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    names = {"<bos>": 0, **{f"w{number}": number for number in range(1, WORDS)}}
    tokenizer = Tokenizer(models.WordLevel(names, unk_token="w1"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", 0)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", model_max_length=POSITIONS
    ).save_pretrained(folder)
    return folder


def repeated_text(n: int = 20, seed: int = 0) -> str:
    """n different words, then the same again."""
    generator = torch.Generator().manual_seed(seed)
    order = (torch.randperm(WORDS - 1, generator=generator)[:n] + 1).tolist()
    return " ".join(f"w{number}" for number in order * 2)
