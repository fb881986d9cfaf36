"""# promote_space

Makes the candidate space live in one atomic move of the pointer, once it and every consumer have passed their gates for
the same partition; a consumer that may be absent and that the log gives nothing to learn from is gone on without. The
space served so far becomes legacy and is refreshed until its consumers have moved.

- **Did not run.** It needs `candidate_space` and every `model_<consumer>` for one key: look for a skipped
  `gate` in `train_user_encoder` or in a consumer's DAG; its log says what was refused.
- **Skipped.** A newer space is live already, its gate has not accepted it, or a model is missing: where a refused day
  is processed again, events of the first attempt complete the set before the last model is there. Once all have passed,
  trigger it by hand with the partition key; promoting again changes nothing.
- **Failed.** A consumer's model names another space, or the vectors failed their validation. Nothing moved; the live
  space is served. Clear the task when the cause is gone.
- **Wrong after all.** `python -m serving_export rollback` goes back to the space before, with its consumers, at once.
  No retry and no cleared task brings back what a rollback has left; `promote --force "REASON"` does.
- **Not carried in the frame.** The space is live all the same; the result's `frame` says why, and which pinned teams
  must retrain. Readers of the frame go on with the space before, refreshed each day; a team that is pinned to the frame
  (`pin TEAM FRAME`) keeps it, others lose it with the next promotion but one. The next space is tried anew; where the
  cause stays, `frame-start --reason "..."` lets the next promotion begin a frame.
- **Pending.** The result names stores that were down (MLflow, online store). The next job makes up for them, or
  `python -m serving_export reconcile`.
"""

from __future__ import annotations

from functools import reduce
from operator import and_

from airflow.sdk import PartitionedAssetTimetable
from training.contracts.consumers import CONSUMERS

from orchestration.assets import CANDIDATE_SPACE, PUBLISHED_EMBEDDINGS, SERVING_POOL, model_asset
from orchestration.defaults import PARTITION, partitioned_dag, step

with partitioned_dag(
    "promote_space",
    schedule=PartitionedAssetTimetable(assets=reduce(and_, map(model_asset, CONSUMERS), CANDIDATE_SPACE)),
    runbook=__doc__,
    tags=["serving", "space"],
):

    @step(pool=SERVING_POOL, go_on_if="promoted", outlet=PUBLISHED_EMBEDDINGS)
    def promote(partition: str) -> dict:
        from serving_export.jobs import run

        return run("promote_space", partition)

    promote(PARTITION)
