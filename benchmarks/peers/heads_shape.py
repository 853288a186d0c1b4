"""What every candidate of `head_stats` gets: rows of random ids, and a text to agree on."""

import numpy as np

N_ROWS, N_TOKENS, N_VOCAB = 2, 256, 50_257
N_ALL = 64  # rows of the whole task
LONG = 1_024  # tokens of the text whose memory is compared
TEXT = (
    "Tom saw a cat. The cat saw Tom. Tom saw a cat. The cat saw Tom and the dog. "
    "Then the dog saw the cat, and the cat ran to Tom."
)
KINDS = ("previous_token", "duplicate_token", "induction")


def ids(rows: int = N_ROWS, tokens: int = N_TOKENS) -> np.ndarray:
    """[row, token] from a fixed seed, the second half of a row repeating the first."""
    half = np.random.default_rng(0).integers(0, N_VOCAB - 1, (rows, tokens // 2))
    return np.concatenate([half, half], axis=1)
