"""Topics of a corpus by latent Dirichlet allocation (Blei, Ng and Jordan 2003), as a set."""

import re
from collections import Counter
from itertools import islice

import numpy as np

from core.corpus.readers import Corpus, name_of, texts
from core.spec.concept_set import ConceptSet, Group
from core.spec.errors import Error

MOST_TEXTS, MOST_WORDS = 4_000, 2_000
LEAST_TEXTS = 20
OFTEN = 0.4  # of the texts: words in more of them belong to no topic
SURE = 0.5  # share of a word's weight that its topic has to hold
WORDS_EACH, LEAST_EACH = 25, 4
ROUNDS = 20
_WORD = re.compile(r"[^\W\d_]{3,}")


def latent_topics(corpus: Corpus, field: str, n_topics: int, seed: int) -> ConceptSet:
    """The words that belong most to each topic, each to one only, by name of its first three.

    Texts are bags of words of three letters or more; words in fewer than three texts or in more
    than 40 % of them are left out.
    """
    bags = [
        Counter(word.lower() for word in _WORD.findall(one.text))
        for one in islice(texts(corpus, field), MOST_TEXTS)
    ]
    bags = [bag for bag in bags if len(bag) > 3]
    if len(bags) < LEAST_TEXTS:
        raise Error(
            f"the corpus {name_of(corpus)} has {len(bags)} texts with words in them; topics are "
            f"found in {LEAST_TEXTS} or more"
        )
    seen = Counter(word for bag in bags for word in bag)
    fit = [word for word, n in seen.most_common() if 3 <= n <= OFTEN * len(bags)][:MOST_WORDS]
    if len(fit) < 2 * LEAST_EACH:
        raise Error(
            f"the corpus {name_of(corpus)} has too few words that come back; give more text"
        )
    place = {word: number for number, word in enumerate(fit)}
    counts = np.zeros((len(bags), len(fit)), dtype=np.float32)
    for row, bag in enumerate(bags):
        for word, n in bag.items():
            if word in place:
                counts[row, place[word]] = n
    return _set(corpus, fit, _weights(counts, n_topics, seed))


def _weights(counts: np.ndarray, n_topics: int, seed: int) -> np.ndarray:
    """[topic, word]"""
    from sklearn.decomposition import LatentDirichletAllocation  # a second to import

    model = LatentDirichletAllocation(n_topics, random_state=seed, max_iter=ROUNDS)
    found: np.ndarray = model.fit(counts).components_
    return found


def _set(corpus: Corpus, words: list[str], weight: np.ndarray) -> ConceptSet:
    share = weight / weight.sum(axis=0)
    best = weight.argmax(axis=0)
    groups = []
    for topic, own in enumerate(weight):
        order = [
            word for word in np.argsort(-own)
            if best[word] == topic and share[topic, word] >= SURE
        ][:WORDS_EACH]  # fmt: skip
        if len(order) >= LEAST_EACH:
            chosen = tuple(words[word] for word in order)
            groups.append(Group(f"{topic + 1}: {', '.join(chosen[:3])}", chosen))
    if len(groups) < 2:
        raise Error(
            f"the corpus {name_of(corpus)} falls into fewer than two topics; give more text, or "
            "ask for another number of topics"
        )
    return ConceptSet(
        f"topics of {name_of(corpus)}"[:100], "categories", tuple(groups),
        about="Found by latent Dirichlet allocation.",
    )  # fmt: skip
