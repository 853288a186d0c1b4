"""Give a feature a label of one's own."""

from core import home
from core.analyses.feature_rows import check_features, feature_site, opened_dictionary
from core.analyses.runs import Progress
from core.galleries import labels
from core.models.loaded import Loaded
from core.results.name_feature import NameFeature
from core.spec.errors import Error

BY = "yours"


def name_feature(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    feature: int,
    label: str = "",
) -> NameFeature:
    """Keep a label under the fingerprint of the dictionary, above those found by rule.

    label  one line; "" takes the label away again
    """
    if home.hosted():
        raise Error("this server keeps no labels of its visitors")
    progress.check()
    own = opened_dictionary(loaded, dictionary)
    (number,) = check_features(own, feature, 1)
    said = " ".join(label.split())
    labels.add(own.about.fingerprint, number, labels.Label(said, by=BY if said else ""))
    return NameFeature(
        request={},
        dictionary=dictionary,
        feature=number,
        site=feature_site(own, number),
        label=said,
    )
