-- Of these runs, those that have ended. Rows: run id. Parameters: rows.
SELECT run.id, run.job_id, run.status, run.kind, run.dry_run,
    run.scheduled_at, run.started_at, run.finished_at, run.items_total, run.items_failed,
    run.attempt
FROM {rows}
-- CROSS: SQLite joins in the order written, the batch first.
CROSS JOIN runlog_run AS run
WHERE run.id = CAST(rows.value ->> 0 AS BIGINT) AND run.finished_at IS NOT NULL
