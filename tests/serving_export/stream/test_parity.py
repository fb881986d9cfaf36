"""Distances are told as a distribution with the worst cases; `test_carry` compares with a real batch."""

from serving_export.stream.parity import WORST, Parity


def test_the_distribution_and_the_worst_are_told() -> None:
    distances = {f"u{number:03d}": number / 100 for number in range(101)}
    found = Parity("20260212-aaaaaaaa", "2026-02-13", distances).to_dict()
    assert (found["users"], found["p50"], found["p99"], found["p100"]) == (101, 0.5, 0.99, 1.0)
    assert len(found["worst"]) == WORST
    assert found["worst"][0] == {"user_id": "u100", "distance": 1.0}
    assert "distances" not in found


def test_nobody_is_at_no_distance() -> None:
    found = Parity("20260212-aaaaaaaa", "2026-02-13", {}).to_dict()
    assert (found["users"], found["p100"], found["worst"]) == (0, 0.0, [])
