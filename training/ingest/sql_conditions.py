"""Let a column map's SQL do no more than look at the row it is given."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import duckdb

from training.contracts.errors import AttuneError

_ALLOWED = {
    "COLUMN_REF",
    "CONSTANT",
    "COMPARISON",
    "CONJUNCTION",
    "FUNCTION",
    "OPERATOR",
    "CAST",
    "CASE",
    "BETWEEN",
    "COLLATE",
    "TYPE",
}
_PURE_MACROS = {"nullif", "ifnull", "split_part", "list_contains", "contains"}
_ARITHMETIC = {"+", "-", "*", "/", "//", "%", "**", "abs", "round", "floor", "ceil", "ceiling", "sign", "sqrt", "ln"}
_NO_NUMBER = {"STRING", "NULL", "BOOLEAN"}
_HINT = "compare source columns and constants, such as \"status = 'ok' and price is not null\""


def require_pure(expression: str, where: str) -> str:
    """Return an SQL expression that reads nothing but the row's own columns and gives the same result every time.

    A subquery would read other files, and a function such as `random()` would make a second import differ. Columns are
    text; one that is compared with a number or reckoned with is read as one, null where it is none.

    Args:
        expression: As the column map has it.
        where: Path into the map, for messages.

    Raises:
        AttuneError: It is no single expression, or holds a subquery, a window, or a function that is not pure.
    """
    tree = _parsed(expression)
    if tree["error"]:
        raise AttuneError(f"{where}: expected one SQL condition, found {expression!r}; {tree.get('error_message')}")
    statements = tree["statements"]
    node = statements[0]["node"] if len(statements) == 1 else {}
    if node.get("type") != "SELECT_NODE" or node["modifiers"] or node["group_expressions"] or node["having"]:
        raise AttuneError(f"{where}: expected one SQL condition, found {expression!r}; {_HINT}")
    if node["qualify"] or node["sample"] or node["from_table"]["type"] != "BASE_TABLE":
        raise AttuneError(f"{where}: expected one SQL condition, found {expression!r}; {_HINT}")
    for part in _expressions(node["where_clause"]):
        _require_allowed(part, expression, where)
    columns = [column for part in _expressions(node["where_clause"]) for column in _columns_as_numbers(part)]
    for column in columns:
        number = {"class": "CAST", "type": "OPERATOR_CAST", "try_cast": True, "type_expr": _double()}
        column.update(**number, child=dict(column))
    return _written(tree) if columns else expression


def columns_read(expression: str) -> frozenset[str]:
    """Return the columns that an expression looks at."""
    parts = _expressions(_parsed(expression))
    return frozenset(part["column_names"][-1] for part in parts if part["class"] == "COLUMN_REF")


def _parsed(expression: str) -> dict[str, Any]:
    with duckdb.connect() as connection:
        text = f"select 1 from t where (\n{expression}\n)"
        ((serialised,),) = connection.execute("select json_serialize_sql(?)", [text]).fetchall()
    found: dict[str, Any] = json.loads(serialised)
    return found


def _columns_as_numbers(part: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the columns that stand directly in an expression of numbers."""
    if _is_arithmetic(part):
        operands = [argument["expression"] for argument in part["arguments"]]
    elif part["class"] in ("COMPARISON", "BETWEEN") or part["type"] in ("COMPARE_IN", "COMPARE_NOT_IN"):
        sides = [part[name] for name in ("left", "right", "input", "lower", "upper") if name in part]
        operands = [*sides, *part.get("children", [])]
        if not any(map(_is_number, operands)):
            return []
    else:
        return []
    return [operand for operand in operands if operand["class"] == "COLUMN_REF"]


def _is_number(part: dict[str, Any]) -> bool:
    if part["class"] == "CONSTANT":
        return part["literal"]["kind"] not in _NO_NUMBER
    return _is_arithmetic(part)


def _is_arithmetic(part: dict[str, Any]) -> bool:
    return part["class"] == "FUNCTION" and part["function_name"].lower() in _ARITHMETIC


@cache
def _double() -> dict[str, Any]:
    with duckdb.connect() as connection:
        ((text,),) = connection.execute("select json_serialize_sql('select try_cast(x as double)')").fetchall()
    found: dict[str, Any] = json.loads(text)["statements"][0]["node"]["select_list"][0]["type_expr"]
    return found


def _written(tree: dict[str, Any]) -> str:
    """Return the condition of a parsed statement as SQL."""
    with duckdb.connect() as connection:
        ((text,),) = connection.execute("select json_deserialize_sql(?::json)", [json.dumps(tree)]).fetchall()
    return str(text).partition(" WHERE ")[2]


def _expressions(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        if "class" in tree:
            yield tree
        for child in tree.values():
            yield from _expressions(child)
    elif isinstance(tree, list):
        for child in tree:
            yield from _expressions(child)


def _require_allowed(part: dict[str, Any], expression: str, where: str) -> None:
    if part["class"] not in _ALLOWED:
        raise AttuneError(
            f"{where}: expected a condition on the row itself, found a {part['class'].lower()} in {expression!r}; "
            f"{_HINT}"
        )
    if part["class"] == "FUNCTION" and part["function_name"].lower() not in _pure_functions():
        raise AttuneError(
            f"{where}: expected functions that depend on the row alone, found {part['function_name']}() in "
            f"{expression!r}; {_HINT}"
        )


@cache
def _pure_functions() -> frozenset[str]:
    with duckdb.connect() as connection:
        rows = connection.execute(
            "select function_name from duckdb_functions() where function_type = 'scalar' "
            "group by function_name having bool_and(stability = 'CONSISTENT')"
        ).fetchall()
    return frozenset(name for (name,) in rows) | _PURE_MACROS
