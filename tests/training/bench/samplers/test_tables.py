"""The table of samplers, by hand."""

from training.bench.samplers.runs import LOSS_MIX, SEARCHES, UNIFORM_MIX
from training.bench.samplers.tables import Case, exhaustive, sampler_table, search_table
from training.samplers.candidates import CANDIDATES


def _outcome(ndcg, value, seconds, chosen="uniform"):
    return {"ndcg": ndcg, "recall": [0.1, 0.3], "value": value, "cpu_seconds": seconds, "weights": {chosen: 1.0}}


def _runs():
    runs = {name: _outcome([0.1, 0.3], 0.1, 2.0, name) for name in (*CANDIDATES, UNIFORM_MIX, LOSS_MIX)}
    runs["hardest of 8"] = _outcome([0.3, 0.5], 0.5, 4.0, "hardest of 8")
    for name in SEARCHES:
        runs[name] = _outcome([0.2, 0.5], 0.4, 5.0) | {"anew": _outcome([0.3, 0.5], 0.4, 6.0), "rounds": []}
    return runs


def test_the_exhaustive_best_is_chosen_on_validation_at_the_cost_of_all():
    best = exhaustive(_runs())
    assert best["weights"] == {"hardest of 8": 1.0}
    assert best["cpu_seconds"] == 8 * 2 + 4


def test_quality_and_cost_are_shares_of_the_exhaustive_best():
    lines = sampler_table("toy", "two users", [Case("MF", [_runs(), _runs()])], 1).splitlines()
    cells = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in lines if "|" in line
    }
    assert cells["**exhaustive best**"][:2] == ["0.4000", "0.0000"]
    assert cells["**exhaustive best**"][4:] == ["100.0%", "100.0% to 100.0%", "100%", "hardest of 8"]
    assert cells["**bandit search**, inherited start"][3:5] == ["5.0", "87.5%"]
    assert cells["**bandit search**, inherited start"][6] == "25%"
    assert cells["bandit search, fresh start"][4] == "100.0%"
    assert cells["uniform"][2] == "0.2000"
    assert "MF, 2 seeds:" in lines


def test_in_brief_every_way_is_a_share_of_the_exhaustive_best():
    head, _, line, *_ = search_table({"toy": [Case("MF", [_runs()])]}).splitlines()
    cells = dict(zip([one.strip() for one in head.split("|")], [one.strip() for one in line.split("|")], strict=True))
    assert (cells["log"], cells["model"], cells["seeds"]) == ("toy", "MF", "1")
    assert cells["exhaustive best, N@20"] == "0.4000, hardest of 8"
    assert cells["uniform"] == "50.0% at 10%"
    assert cells["bandit, inherited start"] == "87.5% at 25%"
    assert cells["bandit, fresh start"] == "100.0% at 30%"
