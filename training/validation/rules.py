"""Say what a boundary expects as data, so that a suite can be read, listed and tested without Great Expectations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One expectation.

    Attributes:
        expectation: Class name in `great_expectations.expectations`.
        subject: Column or columns in question, or "rows"; names the check.
        allowed: What must hold, in words.
        arguments: Keyword arguments of the expectation.
    """

    expectation: str
    subject: str
    allowed: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def columns_are(names: Sequence[str]) -> Rule:
    """Expect exactly these columns, in any order."""
    return Rule(
        expectation="ExpectTableColumnsToMatchSet",
        subject="columns",
        allowed="exactly the contract's columns",
        arguments={"column_set": list(names), "exact_match": True},
    )


def columns_include(names: Iterable[str]) -> Rule:
    """Expect at least these columns."""
    return Rule(
        expectation="ExpectTableColumnsToMatchSet",
        subject="columns",
        allowed=f"columns {', '.join(names)}",
        arguments={"column_set": list(names), "exact_match": False},
    )


def num_rows(low: int, high: int | None = None) -> Rule:
    """Expect a number of rows in [low, high]."""
    return Rule(
        expectation="ExpectTableRowCountToBeBetween",
        subject="rows",
        allowed=f"exactly {low}" if low == high else f"at least {low}",
        arguments={"min_value": low, "max_value": high},
    )


def not_null(column: str) -> Rule:
    """Expect a value in every row."""
    return Rule(
        expectation="ExpectColumnValuesToNotBeNull",
        subject=column,
        allowed="no nulls",
        arguments={"column": column},
    )


def unique(columns: Sequence[str], mostly: float = 1.0) -> Rule:
    """Expect no two rows with equal values in `columns`, but for a share `1 - mostly` of the rows."""
    if len(columns) == 1:
        return Rule(
            expectation="ExpectColumnValuesToBeUnique",
            subject=columns[0],
            allowed="one row each" if mostly == 1 else f"at least {mostly:.0%} of the rows unique",
            arguments={"column": columns[0], "mostly": mostly},
        )
    return Rule(
        expectation="ExpectCompoundColumnsToBeUnique",
        subject=",".join(columns),
        allowed="one row each",
        arguments={"column_list": list(columns)},
    )


def one_of(column: str, values: Sequence[Any]) -> Rule:
    """Expect one of `values` in every row."""
    return Rule(
        expectation="ExpectColumnValuesToBeInSet",
        subject=column,
        allowed=f"one of {', '.join(map(str, values))}",
        arguments={"column": column, "value_set": list(values)},
    )


def between(column: str, low: Any = None, high: Any = None, *, below: bool = False) -> Rule:
    """Expect values in [low, high], or in [low, high) if `below`; None leaves a side open."""
    sides = ([f"at least {low}"] if low is not None else []) + (
        [f"{'below' if below else 'at most'} {high}"] if high is not None else []
    )
    return Rule(
        expectation="ExpectColumnValuesToBeBetween",
        subject=column,
        allowed=", ".join(sides),
        arguments={"column": column, "min_value": low, "max_value": high, "strict_max": below},
    )


def at_least(larger: str, smaller: str) -> Rule:
    """Expect `larger` not below `smaller` in any row."""
    return Rule(
        expectation="ExpectColumnPairValuesAToBeGreaterThanB",
        subject=f"{larger},{smaller}",
        allowed=f"{larger} not below {smaller}",
        arguments={"column_A": larger, "column_B": smaller, "or_equal": True},
    )


def lengths(column: str, low: int, high: int) -> Rule:
    """Expect text of `low` to `high` characters."""
    return Rule(
        expectation="ExpectColumnValueLengthsToBeBetween",
        subject=column,
        allowed=f"{low} to {high} characters",
        arguments={"column": column, "min_value": low, "max_value": high},
    )
