"""The printed table, cell by cell."""

from tests.training.bench.shared.samples import row
from training.bench.shared.tables import columns_of, quality_table, representation_table


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_ours_first_then_peers_by_ndcg_with_the_best_in_bold():
    lines = quality_table([row("a", 0.2), row("b", 0.3), row("us", 0.25, "ours")], 20, {"numpy": "2"}).splitlines()
    assert lines[0] == "**toy**, protocol temporal, 7 test users; numpy 2"
    assert [cells(line)[0] for line in lines[4:]] == ["**us**", "b", "a"]
    header, best = cells(lines[2]), cells(lines[5])
    assert header == ["model", "R@20", "N@20", "T-R@20", "T-N@20", "± N", "seeds", "fit s", "chosen in s"]
    assert best == ["b", "**0.1000**", "**0.3000**", "**0.2000**", "**0.0500**", "0.0100", "2", "1.2", "9"]


def test_share_of_the_attainable():
    lines = quality_table([row("truth", 0.5, "limit"), row("a", 0.2)], 20, {}).splitlines()
    assert cells(lines[4])[:6] == ["truth", "**0.1000**", "0.5000", "–", "–", "0.0100"]
    assert cells(lines[5])[6] == "40.0%"
    assert "**0.2000**" in lines[5], "the limit takes part in no contest"


def test_leave_one_out_has_its_own_columns():
    assert columns_of("loo", 10) == {"HR@10": "hr@10", "N@10": "ndcg@10"}
    assert "HR@10" in quality_table([row("a", 0.2, protocol="loo")], 10, {})


def test_representations_are_ordered_by_auc_and_compared_with_the_baseline():
    representations = {
        "mean_of_items": {"auc": 0.6, "auc_gain": 0.0, "auc_gain_interval": [0.0, 0.0]},
        "z": {"auc": 0.65, "auc_gain": 0.05, "auc_gain_interval": [0.01, 0.09]},
    }
    probe = {"baseline": "mean_of_items", "evidence": "9 positives of 4 users", "representations": representations}
    lines = representation_table("toy", probe).splitlines()
    assert lines[0] == "**toy**, will a user interact with an item within seven days; 9 positives of 4 users"
    assert lines[4:6] == [
        "| **z_u** | 0.6500 | +0.0500 | +0.0100 to +0.0900 |",
        "| mean of item vectors | 0.6000 | – | – |",
    ]
