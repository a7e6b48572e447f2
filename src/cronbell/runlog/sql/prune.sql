-- Remove runs that have ended with this status. Rows: run id. Parameters: status, rows.
DELETE FROM runlog_run
WHERE status = %s AND finished_at IS NOT NULL
  AND id IN (SELECT CAST(rows.value ->> 0 AS BIGINT) FROM {rows})
RETURNING id, job_id, scheduled_at, started_at, dry_run
