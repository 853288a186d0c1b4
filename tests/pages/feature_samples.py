"""Made-up results about the features of a dictionary, plain and hostile. No model has said any."""

from typing import Any

import numpy as np

from core.results.dictionaries import Dictionaries
from core.results.dictionary_check import DictionaryCheck
from core.results.feature_card import FeatureCard
from core.results.feature_label import FeatureLabel
from core.results.feature_lens import FeatureLens
from core.results.feature_list import FeatureList
from core.results.gallery import Gallery
from tests.pages.samples import VOCAB

N = 2_048
Words = tuple[str, ...]


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def dictionaries(names: Words = ("one", "two"), fault: str = "") -> Dictionaries:
    """Dictionaries of layer 2; a fault makes the last of them unusable."""
    n = len(names)
    return Dictionaries(
        request={},
        names=names,
        sites=("L2.resid_post",) * n,
        out_sites=("L2.resid_post",) * n,
        formats=("SAELens",) * n,
        kinds=("TopK 16",) * n,
        norms=("none",) * n,
        fingerprints=("f" * 64,) * n,
        models=("",) * n,
        notes=((),) * n,
        faults=(*[""] * (n - 1), fault)[:n],
        paths=("/somewhere",) * n,
        added=np.zeros(n, bool),
        n_features=np.full(n, N),
        declared_l0=np.zeros(n),
        file_bytes=np.full(n, 1_000),
    )


def feature_list(
    offset: int = 0, limit: int = 96, *, words: Words = VOCAB, label: str = "", by: str = ""
) -> FeatureList:
    """The cards from `offset` on; feature n stands in place n."""
    features = tuple(range(offset, min(N, offset + limit)))
    n = len(features)
    numbers: dict[str, Any] = {
        name: np.full(n, 0.25, "float32")
        for name in (
            *("density", "max_activation", "mean_activation", "contribution", "cosine", "drift"),
            *("lengths", "fires_share"),
        )
    }
    text = words[:6]
    return FeatureList(
        request={},
        dictionary="one",
        site="L2.resid_post",
        corpus="built-in",
        gallery="g",
        share=1.0,
        n_tokens=68_000,
        n_features=N,
        total=N,
        offset=offset,
        sort="feature",
        sort_words="number",
        descending=False,
        asked="",
        fires_on="",
        fires_from="",
        n_fires_on=0,
        features=features,
        sites=tuple(f"L2.resid_post.feature[one:{feature}]" for feature in features),
        label=(label,) * n,
        label_by=(by,) * n,
        badges=(("rare",),) * n,
        tokens=(words[:2],) * n,
        lens=(words[:4],) * n,
        peaks=((text,),) * n,
        peak_at=((2,),) * n,
        peak_context=((0,),) * n,
        peak_value=np.ones((n, 1), "float32"),
        label_score=np.full(n, 0.2 if label and not by else np.nan, "float32"),
        label_chance=np.full(n, 0.1 if label and not by else np.nan, "float32"),
        spark=np.ones((n, 24), np.int64),
        **numbers,
    )


def feature_card(
    feature: int = 0, *, words: Words = VOCAB, label: str = "", by: str = "", fires: bool = True
) -> FeatureCard:
    """Two texts, one of them the strongest, one silent; or a feature that never fires."""
    groups = ("top", "silent") if fires else ()
    n, length = len(groups), len(words)
    values = np.zeros((n, length), "float32")
    values[:1, 2] = 9.0
    return FeatureCard(
        request={},
        dictionary="one",
        feature=feature,
        site=f"L2.resid_post.feature[one:{feature}]",
        corpus="built-in",
        gallery="g",
        n_features=N,
        n_tokens=68_000,
        n_contexts=2_048,
        window=64,
        sites=(),
        label=label,
        label_score=np.nan if by else 0.2,
        label_chance=np.nan if by else 0.1,
        label_by=by,
        badges=("rare",),
        duplicate=-1,
        duplicate_known=True,
        n_fires=95 if fires else 0,
        density=95 / 68_000 if fires else 0.0,
        largest=9.0,
        mean_active=3.0,
        length=1.0,
        cosine=0.5,
        contribution=0.01,
        top_piece=words[2],
        top_share=0.4,
        n_listed=10,
        group=groups,
        of_feature=(feature, feature + 1)[:n],
        tokens=(words,) * n,
        special=((False,) * length,) * n,
        activation=values,
        context=np.arange(n),
        document=np.arange(n),
        position=np.full(n, 2),
        peak=values.max(axis=1) if n else np.zeros(0),
        **_histograms(),
    )


def _histograms() -> dict[str, Any]:
    """How often a feature reaches which value, where in the text, and what is random."""
    return {
        "random_density": (0.003, 0.06),
        "random_largest": (11.0, 12.0),
        "random_share": (0.1, 0.3),
        "half_density": (0.001, 0.002),
        "half_mean": (3.0, 3.0),
        "band_share": np.zeros(5),
        "band_sum": np.zeros(5),
        "edges": np.linspace(0, 9, 11),
        "counts": np.ones(10),
        "log_edges": np.geomspace(0.1, 9, 11),
        "log_counts": np.ones(10, np.int64),
        "by_position": np.full(16, 0.01),
    }


def feature_lens(feature: int = 0, pieces: Words = VOCAB) -> FeatureLens:
    """Ten tokens at either end."""
    k = 5
    ids = np.arange(k)[None]
    down = np.linspace(4, 2, k)[None]
    ends: dict[str, Any] = {}
    for end, sign in (("top", 1), ("bottom", -1)):
        ends |= {f"{end}_ids": ids, f"{end}_cosine": 0.1 * sign * down}
        ends |= {f"{end}_scores": sign * down, f"{end}_z": sign * down}
    return FeatureLens(
        request={},
        pieces=pieces,
        piece_ids=np.arange(len(pieces)),
        dictionary="one",
        features=(feature,),
        sites=(f"L2.resid_post.feature[one:{feature}]",),
        out_site="L2.resid_post",
        through="",
        n_vocabulary=4_096,
        n_null=1_000,
        null_z=np.array([6.5, 6.3]),
        null_kurtosis=np.array([0.9, 2.1]),
        mean=np.zeros(1),
        deviation=np.ones(1),
        skew=np.zeros(1),
        kurtosis=np.zeros(1),
        near_ids=ids,
        near_cosine=0.1 * down,
        edges=np.linspace(-5, 5, 11),
        counts=np.ones((1, 10)),
        **ends,
    )


def gallery(features: int = 50) -> Gallery:
    """Feature n fires on (n + 1) in 10,000 tokens; the first one never does."""
    count = np.arange(features) * 10
    density = count / 100_000
    numbers: dict[str, Any] = {
        name: np.linspace(1, 5, features)
        for name in ("max_activation", "mean_activation", "contribution", "lengths", "cosine")
    }
    return Gallery(
        request={},
        dictionary="one",
        format="SAELens",
        site="L2.resid_post",
        out_site="L2.resid_post",
        corpus="built-in",
        n_tokens=100_000,
        n_contexts=2_048,
        n_documents=900,
        window=64,
        cut=False,
        mask="special tokens do not count",
        sites=(),
        gallery="g",
        folder="/somewhere",
        share=1.0,
        codes=True,
        n_bytes_kept=1_000,
        bytes_per_feature=20.0,
        n_clamped=0,
        rare=15,
        dense=0.1,
        n_random=4_000,
        density=density,
        count=count,
        half_density=np.stack([density, density]),
        random_density=np.full(features, 0.003),
        random_mean=np.linspace(2, 3, features),
        **numbers,
    )


def dictionary_check(better: int = -1) -> DictionaryCheck:
    """Three ways to read a dictionary; `better` is the row that fits better."""
    fvu = np.array([0.4, 0.9, 0.1])
    return DictionaryCheck(
        request={},
        dictionary="one",
        site="L2.resid_post",
        out_site="L2.resid_post",
        format="SAELens",
        model="",
        notes=(),
        rows=("as declared", "bias not subtracted", "norm layernorm"),
        readings=({}, {"subtract": False}, {"norm": "layernorm"}),
        better=better,
        sentence="This file fits better read with: norm layernorm.",
        warnings=("L0 is 90.0 on this text, 16.0 is declared",),
        corpus="built-in",
        n_contexts=23,
        n_tokens=2_048,
        n_outliers=0,
        declared_l0=16.0,
        fvu=fvu,
        fvu_halves=np.stack([fvu, fvu], axis=1),
        l0=np.array([16.0, 20.0, 16.0]),
        dead=np.zeros(3),
    )


def feature_label(features: tuple[int, ...] = (0,)) -> FeatureLabel:
    """One rule that holds for each."""
    n = len(features)
    two = np.full((2, n), 0.8)
    return FeatureLabel(
        request={},
        dictionary="one",
        site="L2.resid_post",
        corpus="built-in",
        n_tokens=(34_000, 34_000),
        n_documents=(400, 400),
        families=("token", "place"),
        n_atoms=(4_000, 20),
        rule=(("token in {“ Two”}",) * n,) * 2,
        kind=(("token",) * n,) * 2,
        other_rule=(("token in {“ Two”}", "first"),) * n,
        wrong=((),) * n,
        least_fires=15,
        feature=np.array(features),
        fires=np.full((2, 2, n), 100),
        f1=two,
        f1_low=two - 0.1,
        f1_high=two + 0.1,
        precision=two,
        recall=two,
        weighted_recall=two,
        f1_found=two,
        control_f1=two * 0.1,
        control_f1_found=two * 0.1,
        family_f1=np.array([[0.8] * n, [0.1] * n]),
    )
