"""Write one page for each failed task: what failed, why, where its log is, what to run again.

The page lies with the other reports, so that whoever is on call needs no access to Airflow to begin.
"""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger(__name__)

PAGE = """# {dag} / {task} failed for {partition}

{error}

- run: `{run}`, try {attempt} of {tries}
- log: {log}
- what stays served: the last published snapshot; nothing of this run is visible before its pointer moves
- again: clear the task in Airflow, or trigger `{dag}` with partition key `{partition}` once the cause is gone

## Runbook

{runbook}
"""


def write_failure_page(context: Any) -> None:
    """Write `reports/failures/<partition>/<dag>.<task>.md` under the home."""
    from training.settings import Settings

    instance, run = context["ti"], context["dag_run"]
    partition = run.partition_key or "no-partition"
    page = PAGE.format(
        dag=instance.dag_id,
        task=instance.task_id,
        partition=partition,
        error=_one_paragraph(context.get("exception")),
        run=run.run_id,
        attempt=instance.try_number,
        tries=instance.max_tries + 1,
        log=getattr(instance, "log_url", "") or "see the task in Airflow",
        runbook=context["dag"].doc_md or "",
    )
    folder = Settings.from_env().reports_dir / "failures" / partition.replace("/", "_")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{instance.dag_id}.{instance.task_id}.md"
    path.write_text(page, encoding="utf-8")
    logger.error("failure page: %s", path)


def _one_paragraph(error: object) -> str:
    return f"{type(error).__name__}: {error}" if error else "The task was killed or ended without an error."
