-- Which of these runs are still this owner's, as they were recorded early.
-- Rows: run id. Parameters: rows, owner.
SELECT run.id, run.job_id, run.scheduled_at
FROM {rows} {run_locked}
WHERE run.id = CAST(rows.value ->> 0 AS BIGINT)
  AND run.status = 'running' AND run.lease_owner = %s AND run.lease_term = 1
  AND run.sent_at IS NULL
