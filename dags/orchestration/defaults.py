"""Give every DAG the same owner, tags, retries, alarms and macros, and every task the same shape.

A task body is one import, one call, one return. What surrounds it is here: the partition key and the run's options
arrive as rendered templates, a refusal skips what follows, and an event of an asset carries the options on.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, ExceptionRetryPolicy, RetryAction, RetryRule, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from orchestration.alarm import write_failure_page

PARTITION = "{{ partition_key or '' }}"
RETRAIN = "{{ carried('retrain', dag_run, triggering_asset_events) }}"
SPACE = "{{ carried('space_id', dag_run, triggering_asset_events) }}"
CARRIED = ("retrain", "space_id")
EARLIEST = datetime(1990, 1, 1)
"""Logs may lie decades back, and a backfill reaches no further than the start of its DAG."""

MAY_PASS = ["training.contracts.errors.TransientFailure", OSError]
"""The disk, a lock, a server; whatever no rule names (a database, a killed process) is tried again likewise."""
SAME_AGAIN = [
    *("training.contracts.errors.AttuneError", ValueError, TypeError, LookupError, AttributeError, ArithmeticError),
    *(AssertionError, NameError, ImportError, NotImplementedError, RecursionError, SyntaxError),
]
EXPECTED_FAILURES = ExceptionRetryPolicy(
    rules=[
        RetryRule(exception=MAY_PASS, action=RetryAction.DEFAULT, reason="what surrounds the task may recover"),
        RetryRule(
            exception=SAME_AGAIN,
            action=RetryAction.FAIL,
            reason="the same input, seed and code fail the same way: trying again changes nothing",
        ),
        RetryRule(
            exception=RuntimeError,
            match_subclasses=False,
            action=RetryAction.FAIL,
            reason="how torch reports shapes that do not fit: trying again changes nothing",
        ),
    ]
)
TASK_DEFAULTS: dict[str, Any] = {
    "owner": "attune",
    "retries": 2,
    "retry_delay": timedelta(seconds=20),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": EXPECTED_FAILURES,
    "execution_timeout": timedelta(hours=6),
    "on_failure_callback": write_failure_page,
}


def partitioned_dag(dag_id: str, *, schedule: Any, runbook: str | None, tags: list[str], **options: Any) -> DAG:
    """Return a DAG whose runs are keyed by the UTC day that they process; its docstring is its runbook."""
    return DAG(
        dag_id=dag_id,
        schedule=schedule,
        start_date=EARLIEST,
        catchup=False,
        max_active_runs=4,
        default_args=TASK_DEFAULTS,
        doc_md=runbook,
        tags=["attune", *tags],
        user_defined_macros={"carried": carried},
        render_template_as_native_obj=False,
        **options,
    )


def carried(name: str, dag_run: Any, events: Any) -> str:
    """Return an option of this run: from its conf, else from the asset events that triggered it, else empty."""
    given = (dag_run.conf or {}).get(name)
    found = [event.extra.get(name) for group in events.values() for event in group if event.extra.get(name)]
    return str(given or (found[-1] if found else ""))


def step(*, go_on_if: str | None = None, outlet: Asset | None = None, **options: Any) -> Callable[[Any], Any]:
    """Return the decorator of a task.

    Args:
        go_on_if: Key of the result; where its value is false, this task and all that follow it are skipped, and no
            event is sent, so the cascade stops for this partition alone.
        outlet: Asset that gets an event of this partition when the task goes on.
        options: Further options of the task, such as its pool.
    """
    options = {"multiple_outputs": False, **options}

    def decorate(function: Callable[..., dict[str, Any]]) -> Any:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def run_step(*args: Any, **kwargs: Any) -> dict[str, Any]:
            result = function(*args, **kwargs)
            if go_on_if is not None and not result[go_on_if]:
                raise AirflowSkipException(f"{function.__name__} does not go on: {_reason(result)}")
            if outlet is not None:
                _pass_on(outlet, {**signature.bind(*args, **kwargs).arguments, **result})
            return result

        return task(outlets=[outlet] if outlet else None, **options)(run_step)

    return decorate


def _pass_on(outlet: Asset, found: dict[str, Any]) -> None:
    """Let the event carry the options of this task's result or arguments, else those that this run was given."""
    context = get_current_context()
    events = context["triggering_asset_events"]
    options = {name: found.get(name) or carried(name, context["dag_run"], events) for name in CARRIED}
    context["outlet_events"][outlet].extra = {name: value for name, value in options.items() if value}


def _reason(result: dict[str, Any]) -> str:
    failed = [
        f"{check['name']}: {check['observed']}, allowed {check['allowed']}"
        for check in result.get("checks", ())
        if not check["passed"]
    ]
    return str(result.get("reason") or result.get("not_applicable") or "; ".join(failed) or "nothing to do")
