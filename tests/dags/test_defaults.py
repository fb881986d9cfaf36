"""What surrounds a task body: refusals skip, events carry options on, expected failures are not tried again."""

from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.airflow
DAY = "2026-11-05"


@pytest.fixture
def defaults(airflow_home):
    from orchestration import defaults

    return defaults


def event(**extra):
    return SimpleNamespace(extra=extra)


def run_with(conf=None):
    return SimpleNamespace(conf=conf)


def test_an_option_comes_from_the_conf_first(defaults):
    events = {"asset": [event(retrain="latest")]}
    assert defaults.carried("retrain", run_with({"retrain": "every_partition"}), events) == "every_partition"


def test_an_option_comes_from_the_newest_event_that_names_it(defaults):
    events = {"a": [event(space_id="old"), event(space_id="new"), event()]}
    assert defaults.carried("space_id", run_with(), events) == "new"


@pytest.mark.parametrize("conf", [None, {}, {"retrain": ""}])
def test_an_option_that_nobody_gave_is_empty(defaults, conf):
    assert defaults.carried("retrain", run_with(conf), {}) == ""


def call(defaults, monkeypatch, step, body, *arguments, conf=None, events=None):
    """Run the function within a step's task as Airflow would, and return its result and what the event carries."""
    accessor = SimpleNamespace(extra={})
    context = {"triggering_asset_events": events or {}, "dag_run": run_with(conf), "outlet_events": _Always(accessor)}
    monkeypatch.setattr(defaults, "get_current_context", lambda: context)
    decorated = step(body)
    return decorated.function(*arguments), accessor.extra


class _Always(dict):
    def __init__(self, value):
        self.value = value

    def __getitem__(self, key):
        return self.value


def test_a_step_returns_what_its_body_returns(defaults, monkeypatch):
    result, _ = call(defaults, monkeypatch, defaults.step(), lambda partition: {"rows": 3}, DAY)
    assert result == {"rows": 3}


def test_a_refusal_skips_the_task_with_its_reasons(defaults, monkeypatch):
    from airflow.sdk.exceptions import AirflowSkipException

    check = {"name": "norm", "passed": False, "observed": "9", "allowed": "at most 2"}
    fine = {"name": "rank", "passed": True, "observed": "9", "allowed": "at least 2"}
    refused = {"accepted": False, "checks": [check, fine]}
    with pytest.raises(AirflowSkipException, match=r"norm: 9, allowed at most 2$"):
        call(defaults, monkeypatch, defaults.step(go_on_if="accepted"), lambda partition: refused, DAY)


@pytest.mark.parametrize("nothing", [False, {}, None])
def test_nothing_to_go_on_with_skips_with_the_reason(defaults, monkeypatch, nothing):
    from airflow.sdk.exceptions import AirflowSkipException

    result = {"refreshed": nothing, "reason": "no space is live yet"}
    with pytest.raises(AirflowSkipException, match="no space is live yet"):
        call(defaults, monkeypatch, defaults.step(go_on_if="refreshed"), lambda partition: result, DAY)


def test_the_event_carries_the_space_of_the_arguments_and_the_options_of_the_run(defaults, monkeypatch):
    from orchestration.assets import CANDIDATE_SPACE

    step = defaults.step(outlet=CANDIDATE_SPACE)
    events = {"user_features": [event(retrain="every_partition")]}

    def gate(partition, space_id):
        return {"accepted": True}

    _, carried = call(defaults, monkeypatch, step, gate, DAY, "20261105-1f2e3d4c", events=events)
    assert carried == {"retrain": "every_partition", "space_id": "20261105-1f2e3d4c"}


def test_an_event_without_options_carries_nothing(defaults, monkeypatch):
    from orchestration.assets import USER_FEATURES

    _, carried = call(defaults, monkeypatch, defaults.step(outlet=USER_FEATURES), lambda partition: {}, DAY)
    assert carried == {}


def test_expected_failures_are_not_tried_again_and_others_are(defaults):
    from airflow.sdk import RetryAction

    from training.contracts.errors import AttuneError, ContractViolation

    policy = defaults.EXPECTED_FAILURES
    for error in (AttuneError("no"), ContractViolation("no")):
        assert policy.evaluate(error, 1, 3).action is RetryAction.FAIL
    assert policy.evaluate(OSError("disk"), 1, 3).action is RetryAction.DEFAULT


def torch_error():
    import torch

    try:
        torch.index_select(torch.empty(0, 3), 0, torch.tensor([0]))
    except RuntimeError as error:
        return error


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), ZeroDivisionError(), TypeError(), torch_error()])
def test_what_the_same_input_fails_at_again_is_not_tried_again(defaults, error):
    from airflow.sdk import RetryAction

    assert defaults.EXPECTED_FAILURES.evaluate(error, 1, 3).action is RetryAction.FAIL


def test_what_surrounds_a_task_may_recover_so_it_is_tried_again(defaults):
    import sqlite3

    from airflow.sdk import RetryAction

    from training.contracts.errors import TransientFailure

    errors = (
        *(BlockingIOError("lock"), ConnectionError("http"), TimeoutError(), TransientFailure("disk")),
        *(sqlite3.OperationalError("database is locked"), MemoryError()),
    )
    for error in errors:
        assert defaults.EXPECTED_FAILURES.evaluate(error, 1, 3).action is RetryAction.DEFAULT


def test_the_policy_survives_the_way_to_the_worker(defaults):
    from airflow.sdk import RetryAction

    from training.contracts.errors import AttuneError, TransientFailure

    policy = type(defaults.EXPECTED_FAILURES).deserialize(defaults.EXPECTED_FAILURES.serialize())
    assert policy.evaluate(AttuneError("no"), 1, 3).action is RetryAction.FAIL
    assert policy.evaluate(IndexError("no"), 1, 3).action is RetryAction.FAIL
    assert policy.evaluate(TransientFailure("lock"), 1, 3).action is RetryAction.DEFAULT


def test_the_templates_render_from_a_run_as_airflow_renders_them(defaults):
    from jinja2 import Environment

    environment = Environment()
    values = {"carried": defaults.carried, "dag_run": run_with({"retrain": "latest"}), "triggering_asset_events": {}}
    assert environment.from_string(defaults.PARTITION).render(partition_key=DAY) == DAY
    assert environment.from_string(defaults.PARTITION).render(partition_key=None) == ""
    assert environment.from_string(defaults.RETRAIN).render(**values) == "latest"
    assert environment.from_string(defaults.SPACE).render(**values) == ""
