from __future__ import annotations

import duckdb
import pytest

from training.contracts.errors import AttuneError
from training.ingest.sql_conditions import require_pure


@pytest.mark.parametrize(
    "expression",
    [
        "state = 'ok' and price is not null",
        "lower(name) like '%x' or amount between 'a' and 'b'",
        "try_cast(n as integer) in (1, 2)",
        "case when a then b else c end",
        "regexp_matches(name, 'a|b') -- said twice",
    ],
)
def test_a_condition_on_the_row_is_kept_as_it_is(expression: str) -> None:
    assert require_pure(expression, "interactions.where") == expression


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("a in (select 1)", "found a subquery"),
        ("exists (select * from read_text('/etc/passwd'))", "found a subquery"),
        ("1 = 1) union select 1 from t where (1 = 1", "expected one SQL condition"),
        ("1 = 1) group by (a", "expected one SQL condition"),
        ("1 = 1); drop table t; select (1", "expected one SQL condition"),
        ("random() < 0.5", r"found random\(\)"),
        ("now() > '2020-01-01'", r"found now\(\)|found get_current_timestamp\(\)"),
        ("nextval('s') > 1", r"found nextval\(\)"),
        ("row_number() over () > 1", "found a window"),
        ("a = ", "expected one SQL condition"),
    ],
)
def test_what_could_do_more_than_look_at_the_row_is_an_error(expression: str, message: str) -> None:
    with pytest.raises(AttuneError, match=message) as error:
        require_pure(expression, "interactions.where")
    assert str(error.value).startswith("interactions.where: ")


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        ("Qty > 0", ["2", "10"]),
        ("0 < Qty", ["2", "10"]),
        ("Qty >= -1.5 and Qty < 9", ["2", "0"]),
        ("Qty between 1 and 5", ["2"]),
        ("Qty in (2, 10)", ["2", "10"]),
        ("Qty not in (2, 10)", ["0"]),
        ("abs(Qty) * 2 = 4", ["2"]),
        ("-Qty < -5", ["10"]),
        ("Qty > '1'", ["2", "10", "x"]),
        ("Qty = '10' or Qty = 'x'", ["10", "x"]),
        ("not (Qty > 0 and Qty <= 2)", ["10", "0"]),
        ("Qty is not null and length(Qty) > 1", ["10"]),
        ("regexp_extract(Qty, '(.)0', 1) = '1'", ["10"]),
        ("left(Qty, 1) = '1'", ["10"]),
    ],
)
def test_a_column_of_text_is_compared_with_a_number_as_a_number(expression, kept):
    table = "(values ('2'), ('10'), ('0'), ('x'), (null)) as t(Qty)"
    with duckdb.connect() as connection:
        rows = connection.execute(f"select Qty from {table} where {require_pure(expression, 'map')}").fetchall()
    assert [cell for (cell,) in rows] == kept
