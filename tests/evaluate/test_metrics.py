import numpy as np
import pytest
from sklearn import metrics as theirs
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from firstread.errors import DataError
from firstread.evaluate import metrics as ours
from firstread.evaluate.calibration import sigmoid


def films(n=500, seed=0, round_to=None):
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.6
    p = sigmoid(rng.normal(2.0 * truth - 1.0, 1.5))
    return (p if round_to is None else np.round(p, round_to)), truth


@pytest.mark.parametrize("round_to", [None, 1])
def test_auc_and_average_precision_agree_with_sklearn_with_ties_too(round_to):
    p, truth = films(round_to=round_to)
    assert ours.auc(p, truth) == pytest.approx(theirs.roc_auc_score(truth, p), abs=1e-12)
    assert ours.average_precision(p, truth) == pytest.approx(
        theirs.average_precision_score(truth, p), abs=1e-12
    )


def test_auc_of_ties_alone_is_a_half_and_of_one_class_is_refused():
    assert ours.auc([0.3] * 6, [0, 1, 0, 1, 1, 1]) == 0.5
    with pytest.raises(DataError):
        ours.auc([0.1, 0.2], [1, 1])


@pytest.mark.parametrize("round_to", [None, 1])
def test_curves_agree_with_sklearn(round_to):
    p, truth = films(round_to=round_to)
    fpr, tpr, thresholds = ours.roc_points(p, truth)
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert thresholds[0] == np.inf
    assert theirs.auc(fpr, tpr) == pytest.approx(theirs.roc_auc_score(truth, p))
    for x, y, t in zip(fpr, tpr, thresholds, strict=True):
        assert ((p >= t)[~truth].mean(), (p >= t)[truth].mean()) == pytest.approx((x, y))
    recall, precision, at = ours.pr_points(p, truth)
    their_precision, their_recall, their_at = theirs.precision_recall_curve(truth, p)
    assert recall == pytest.approx(their_recall[:-1][::-1])
    assert precision == pytest.approx(their_precision[:-1][::-1])
    assert at == pytest.approx(their_at[::-1])


def test_confusion_and_its_shares_agree_with_sklearn():
    p, truth = films()
    calls = p >= 0.4
    c = ours.confusion(truth, calls)
    assert c.matrix == theirs.confusion_matrix(truth, calls).tolist()
    precision, recall, f1, _ = theirs.precision_recall_fscore_support(truth, calls)
    assert c.precision == pytest.approx(precision[1])
    assert (c.specificity, c.sensitivity) == pytest.approx(recall)
    assert c.f1 == pytest.approx(f1[1])
    assert c.accuracy == pytest.approx(theirs.accuracy_score(truth, calls))
    assert c.balanced_accuracy == pytest.approx(theirs.balanced_accuracy_score(truth, calls))


def test_no_call_has_no_precision():
    c = ours.confusion(np.array([True, False]), np.array([False, False]))
    assert np.isnan(c.precision)
    assert c.sensitivity == 0


def test_loss_and_brier_agree_with_sklearn():
    p, truth = films()
    assert ours.log_loss(p, truth) == pytest.approx(theirs.log_loss(truth, p))
    assert ours.brier(p, truth) == pytest.approx(theirs.brier_score_loss(truth, p))


def test_a_sure_mistake_costs_much_but_not_infinity():
    loss = ours.log_loss(np.array([0.0]), np.array([True]))
    assert loss == pytest.approx(-np.log(1e-7))


def test_reliability_bins_agree_with_sklearn_and_make_the_ece():
    p, truth = films(800)
    bins = ours.reliability_bins(p, truth)
    full = bins.count > 0
    observed, predicted = calibration_curve(truth, p, n_bins=15)
    assert bins.observed[full] == pytest.approx(observed)
    assert bins.predicted[full] == pytest.approx(predicted)
    expected = np.sum(bins.count[full] * np.abs(observed - predicted)) / 800
    assert ours.ece(p, truth) == pytest.approx(expected)


def test_ece_by_hand_with_a_probability_of_one():
    p, truth = np.array([0.9, 0.95, 0.1, 1.0]), np.array([True, False, False, True])
    # bins of 1/15: 0.9 in the 14th; 0.95 and 1.0 in the 15th; 0.1 in the 2nd
    assert ours.ece(p, truth) == pytest.approx((0.1 + abs(1.95 - 1.0) + 0.1) / 4)


def test_calibration_line_agrees_with_sklearn_and_knows_overconfidence():
    rng = np.random.default_rng(4)
    z = rng.normal(0, 3, 4000)
    truth = rng.random(4000) < sigmoid(0.5 * z + 0.3)
    slope, intercept = ours.calibration_line(sigmoid(z), truth)
    model = LogisticRegression(C=1e9, tol=1e-10).fit(z[:, None], truth)
    assert slope == pytest.approx(model.coef_[0, 0], rel=1e-3)
    assert intercept == pytest.approx(model.intercept_[0], abs=1e-3)
    assert slope < 0.6


def test_calibration_line_is_not_a_number_where_nothing_is_confused():
    line = ours.calibration_line(np.array([0.1, 0.2, 0.8]), np.array([False, False, True]))
    assert np.isnan(line).all()


def test_risk_coverage_keeps_the_surest_first():
    coverage, error = ours.risk_coverage(
        np.array([True, False, False, True]), np.array([0.1, 3.0, 2.0, 2.0])
    )
    assert coverage.tolist() == [0.25, 0.75, 1.0]
    assert error == pytest.approx([0.0, 1 / 3, 0.5])


@pytest.mark.parametrize("p", [[0.1, 0.5, 0.5, 0.9], [0.9, 0.5, 0.5, 0.1], [0.3, 0.3, 0.3, 0.3]])
def test_classes_that_only_touch_have_no_calibration_line(p):
    slope, intercept = ours.calibration_line(np.array(p), np.array([False, False, True, True]))
    assert np.isnan([slope, intercept]).all()
