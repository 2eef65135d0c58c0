"""Ranks: ties share theirs, and the area by them is the AUC."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from firstread.cohort.ranks import area_by_ranks, midranks


def test_ties_share_their_mean_rank() -> None:
    assert midranks(np.array([3.0, 1.0, 3.0, 2.0, 3.0])).tolist() == [4, 1, 4, 2, 4]


def test_the_area_is_sklearns() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    scores = np.round(rng.normal(labels, 2), 1)  # with ties
    area = area_by_ranks(scores, labels == 1)
    assert area == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
