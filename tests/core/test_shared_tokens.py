"""Tokens of two models on one text, brought together by their characters."""

from core import api


def test_one_tokenizer_shares_every_token():
    one, other = api.load("embedded"), api.load("embedded-tuned")
    found = api.run("shared_tokens", one, text="The dog is big.", other=other)
    assert list(found.here) == list(range(found.n_here))


def test_another_tokenizer_shares_the_ends_of_words(stories):
    one, other = api.load("embedded"), stories
    text = "The dog is big"
    found = api.run("shared_tokens", one, text=text, other=other)
    mine, theirs = api.tokens(one, text), api.tokens(other, text)
    assert len(theirs) == found.n_there
    pairs = [(int(a), b) for b, a in enumerate(found.here) if a >= 0]
    assert pairs
    ends = [_end(mine, a) == _end(theirs, b) for a, b in pairs if theirs[b].strip()]
    assert all(ends)
    assert found.here[-1] == len(mine) - 1


def _end(pieces: list[str], at: int) -> str:
    """The text up to and with a token, without blanks and special tokens."""
    return "".join(p for p in pieces[: at + 1] if not p.startswith("<")).replace(" ", "")
