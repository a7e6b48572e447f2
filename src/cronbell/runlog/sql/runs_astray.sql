-- Runs that began at another time than their neighbours, by status, ids and week.
-- Rows: status, first id, last id, first instant, last instant. Parameters: rows.
SELECT run.id, run.job_id, run.status, COALESCE(run.started_at, run.scheduled_at)
FROM {rows}
CROSS JOIN runlog_run AS run
WHERE run.status = rows.value ->> 0 AND run.finished_at IS NOT NULL
  AND run.id BETWEEN CAST(rows.value ->> 1 AS BIGINT) AND CAST(rows.value ->> 2 AS BIGINT)
  AND COALESCE(run.started_at, run.scheduled_at)
    BETWEEN CAST(rows.value ->> 3 AS BIGINT) AND CAST(rows.value ->> 4 AS BIGINT)
