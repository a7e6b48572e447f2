-- End the runs that due fires take the place of (overlap = cancel_running); before record_fires, in
-- its transaction and under the same condition, so that a run ends only where its successor is
-- recorded. Its runner's finish is refused from now on; the runner notices and drops the call.
-- A fire of a paused job takes nobody's place. A replay or backfill is not replaced: the fire waits
-- for its run's end. A call that an endpoint recorded itself is nobody's to drop.
-- Rows: job id, cursor read, scheduled_at of each such fire. Parameters: now, rows.
UPDATE runlog_run
SET status = 'cancelled', reason = 'replaced', finished_at = %s, lease_expires_at = NULL
WHERE status IN ('pending', 'running')
  AND NOT by_endpoint
  AND NOT gives_way
  AND job_id IN (
    SELECT job.id
    FROM {rows}
    CROSS JOIN runlog_job AS job
    WHERE job.id = CAST(rows.value ->> 0 AS BIGINT)
      AND job.cursor_at = CAST(rows.value ->> 1 AS BIGINT)
      AND (job.paused_at IS NULL OR job.paused_at > CAST(rows.value ->> 2 AS BIGINT))
  )
