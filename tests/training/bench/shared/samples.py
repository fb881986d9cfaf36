"""Rows to draw and print."""

from training.bench.shared.rows import Row


def row(model, ndcg, family="peer", protocol="temporal", **more):
    k = {"temporal": 20, "loo": 10}[protocol]
    metrics = {f"recall@{k}": 0.1, f"ndcg@{k}": ndcg, f"hr@{k}": 0.5, "n": 7.0}
    metrics |= {"se_ndcg": 0.01, "se_recall": 0.02, "se_hr": 0.03}
    if protocol == "temporal" and family != "limit":
        metrics |= {f"target_recall@{k}": 0.2, f"target_ndcg@{k}": 0.05, "target_se_ndcg": 0.0, "target_se_recall": 0.0}
    values = {"params": {}, "seeds": (1, 2), "fit_seconds": 1.25, "tune_seconds": 9.0} | more
    spread = dict.fromkeys(metrics, 0.001)
    return Row(data="toy", protocol=protocol, model=model, family=family, metrics=metrics, seed_spread=spread, **values)
