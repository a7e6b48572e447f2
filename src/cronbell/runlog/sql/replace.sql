-- End the runs that due fires take the place of (overlap = cancel_running); before record_fires, in
-- its transaction and under the same condition, so that a run ends only where its successor is
-- recorded. Its runner's finish is refused from now on; the runner notices and drops the call.
-- A fire of a paused job takes nobody's place. A replay or backfill is not replaced: the fire waits
-- for its run's end. A call that an endpoint recorded itself is nobody's to drop.
-- Groups: as record_fires.
-- Parameters: groups, now.
WITH shared AS MATERIALIZED (
    SELECT
        groups.value -> 0 AS members,
        CAST(groups.value ->> 2 AS BIGINT) AS scheduled_at,
        groups.value ->> 3 AS status,
        groups.value ->> 9 AS overlap
    FROM {groups}
)
UPDATE runlog_run
SET status = 'cancelled', reason = 'replaced', finished_at = %s, lease_expires_at = NULL
WHERE status IN ('pending', 'running')
  AND NOT by_endpoint
  AND NOT gives_way
  AND job_id IN (
    SELECT job.id
    FROM shared
    CROSS JOIN {members}
    CROSS JOIN runlog_job AS job
    WHERE job.id = CAST(members.value ->> 0 AS BIGINT)
      AND job.cursor_at = CAST(members.value ->> 1 AS BIGINT)
      AND shared.status = 'pending' AND shared.overlap = 'cancel_running'
      AND (job.paused_at IS NULL OR job.paused_at > shared.scheduled_at)
  )
