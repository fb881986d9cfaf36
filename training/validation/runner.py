"""Run a suite with Great Expectations as a gate, and leave data docs that a person can open."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import pandas as pd

from training.contracts.artefacts import Check
from training.contracts.errors import ContractViolation
from training.contracts.partitions import Partition
from training.settings import Settings
from training.validation.data_docs import docs_dir, open_site, publish_site
from training.validation.derived import PREPARE
from training.validation.rules import Rule
from training.validation.suites import rules

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult

logger = logging.getLogger(__name__)


def validate(
    settings: Settings, suite: str, frame: pd.DataFrame, partition: Partition, **facts: object
) -> tuple[Check, ...]:
    """Return one check per expectation of a suite, and write its data docs; a failure is a value, not an error.

    Args:
        settings: Where reports lie.
        suite: One of `training.validation.suites.SUITES`.
        frame: The boundary's rows, lists and vectors as they are stored.
        partition: The day that the frame is of.
        **facts: What the suite cannot know, such as `space_id` and `width` of vectors.

    Raises:
        AttuneError: The suite or a fact is unknown.
    """
    wanted = rules(suite, partition, facts)
    prepared = PREPARE[suite](frame) if suite in PREPARE else frame
    results = _run(settings, suite, wanted, prepared, partition)
    checks = tuple(_check(suite, rule, result, len(frame)) for rule, result in zip(wanted, results, strict=True))
    failed = sum(not check.passed for check in checks)
    logger.info("suite %s of %s: %d of %d checks passed", suite, partition, len(checks) - failed, len(checks))
    return checks


def require(
    settings: Settings, suite: str, frame: pd.DataFrame, partition: Partition, **facts: object
) -> tuple[Check, ...]:
    """Return the checks of a suite that passes whole; see `validate`.

    Raises:
        ContractViolation: A check failed; names it, what was found, and the page that shows all.
    """
    checks = validate(settings, suite, frame, partition, **facts)
    failed = [check for check in checks if not check.passed]
    if failed:
        first, page = failed[0], docs_dir(settings, partition, suite) / "index.html"
        more = f" (and {len(failed) - 1} more checks failed)" if len(failed) > 1 else ""
        raise ContractViolation(
            f"{first.name} of {partition}: expected {first.allowed}, found {first.observed}{more}; "
            f"see {page}, correct the source and run the partition again"
        )
    return checks


def _run(
    settings: Settings, suite: str, wanted: tuple[Rule, ...], frame: pd.DataFrame, partition: Partition
) -> list[ExpectationValidationResult]:
    """Results in the order of the rules, which Great Expectations does not keep."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations.core.run_identifier import RunIdentifier

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    expectations = [
        getattr(gx.expectations, rule.expectation)(**rule.arguments, meta={"rule": number})
        for number, rule in enumerate(wanted)
    ]
    with open_site(settings, partition, suite) as site:
        publish_site(context, site)
        batch = context.data_sources.add_pandas(suite).add_dataframe_asset(str(partition))
        definition = gx.ValidationDefinition(
            name=suite,
            data=batch.add_batch_definition_whole_dataframe(suite),
            suite=context.suites.add(gx.ExpectationSuite(name=suite, expectations=expectations)),
        )
        checkpoint = gx.Checkpoint(
            name=suite,
            validation_definitions=[context.validation_definitions.add(definition)],
            result_format="SUMMARY",
        )
        run = context.checkpoints.add(checkpoint).run(
            batch_parameters={"dataframe": frame},
            run_id=RunIdentifier(run_name=str(partition), run_time=partition.as_of),
        )
        context.build_data_docs()
    (outcome,) = run.run_results.values()
    return sorted(outcome.results, key=lambda result: int(result.expectation_config.meta["rule"]))


def _check(suite: str, rule: Rule, result: ExpectationValidationResult, num_rows: int) -> Check:
    return Check(
        name=f"{suite}.{rule.expectation.removeprefix('Expect')}({rule.subject})",
        passed=bool(result.success),
        observed=_observed(result, num_rows),
        allowed=rule.allowed,
    )


def _observed(result: ExpectationValidationResult, num_rows: int) -> str:
    found: dict[str, Any] = dict(result.result or {})
    if "unexpected_count" in found:
        examples = [_plain(value) for value in found.get("partial_unexpected_list", [])[:1]]
        such_as = f", such as {examples[0]}" if examples else ""
        return f"{found['unexpected_count']} of {num_rows} unexpected rows{such_as}"
    mismatched = (found.get("details") or {}).get("mismatched")
    if mismatched:
        return "; ".join(f"{kind} {', '.join(map(str, names))}" for kind, names in sorted(mismatched.items()))
    if "observed_value" in found:
        value = found["observed_value"]
        return f"{len(value)} columns" if isinstance(value, list) else _plain(value)
    return _exception(result)


def _exception(result: ExpectationValidationResult) -> str:
    info = result.exception_info or {}
    entries = [info, *(entry for entry in info.values() if isinstance(entry, dict))]
    text = next((str(e["exception_message"]) for e in entries if e.get("exception_message")), "no result")
    return text.splitlines()[0][:200]


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_plain, value))
    return repr(value.item()) if hasattr(value, "item") else repr(value)
