import copy

import pytest

from training.representation.gate import checks_of


def comparison(subject: str, baseline: str, low: float, high: float) -> dict:
    own = {"auc": 0.7, "auc_gain_interval": [low, high]}
    return {"evidence": "many", "representations": {subject: own, baseline: {"auc": 0.69}}}


GOOD = {
    "vectors": {"finite": True, "num_users": 100, "width": 120, "effective_rank": 40.0},
    "reconstruction": {"country": 0.5, "activity": 0.9},
    "mean_prediction": {"country": 1.0, "activity": 1.0},
    "seven_day": comparison("z", "mean_of_items", -0.001, 0.02),
    "live": {
        "space_id": "20260101-aaaaaaaa",
        "neighbour_overlap": 0.4,
        "chance_overlap": 0.05,
        "norm_ratio": 1.1,
        "seven_day": comparison("challenger", "live", -0.01, 0.01),
    },
}


def failed(evaluation: dict) -> list[str]:
    return [check.name for check in checks_of(evaluation) if not check.passed]


def test_a_good_space_passes_every_check():
    assert len(checks_of(GOOD)) == 7
    assert failed(GOOD) == []


@pytest.mark.parametrize(
    ("path", "value", "name"),
    [
        (("vectors", "finite"), False, "finite vectors"),
        (("vectors", "effective_rank"), 4.9, "effective rank"),
        (("reconstruction", "country"), 1.2, "reconstruction against the mean predictor"),
        (("live", "norm_ratio"), 2.1, "norm drift"),
        (("live", "norm_ratio"), 0.4, "norm drift"),
        (("live", "neighbour_overlap"), 0.09, "neighbour overlap with live"),
        (("seven_day",), comparison("z", "mean_of_items", -0.02, -0.001), "seven-day AUC against mean of items"),
        (("live", "seven_day"), comparison("challenger", "live", -0.02, -0.001), "seven-day AUC against live"),
    ],
)
def test_each_fault_fails_its_own_check(path, value, name):
    evaluation = copy.deepcopy(GOOD)
    inner = evaluation
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert failed(evaluation) == [name]


def test_no_users_are_no_space():
    evaluation = copy.deepcopy(GOOD)
    evaluation["vectors"] |= {"num_users": 0, "effective_rank": 0.0}
    assert failed(evaluation) == ["finite vectors", "effective rank"]


def test_the_first_space_needs_no_live_one():
    first = {key: value for key, value in GOOD.items() if key != "live"}
    assert len(checks_of(first)) == 4


def test_too_few_labels_pass_with_their_reason():
    evaluation = GOOD | {"seven_day": {"evidence": "not enough evidence: n=3 positives of 2 users"}}
    check = next(c for c in checks_of(evaluation) if c.name.startswith("seven-day AUC against mean"))
    assert check.passed
    assert check.outcome == "not measured"
    assert check.observed == "not measured: not enough evidence: n=3 positives of 2 users"


def test_where_everybody_is_a_neighbour_chance_is_enough():
    evaluation = copy.deepcopy(GOOD)
    evaluation["live"] |= {"neighbour_overlap": 1.0, "chance_overlap": 1.0}
    assert failed(evaluation) == []
