"""The line of a search states its recall."""

import re

from serving_export.bench.top_k import top_k_timing


def test_recall_is_stated_and_high_on_clustered_vectors(tmp_path):
    line = top_k_timing(tmp_path, num_items=2000, num_clusters=20)
    recall = float(re.search(r"recall ([0-9.]+)", line.what).group(1))
    assert 0.8 < recall <= 1.0
    assert min(line.ours, line.incumbents["exact"], line.limits["the product alone"]) > 0
