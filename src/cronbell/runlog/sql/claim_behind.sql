-- Take up to N runs that were asked for after the fact (rerun, replay, backfill), oldest first.
-- Under the planners' lock, so that no fire is recorded meanwhile: one that waits its turn is taken
-- only where no other run of its job is running, pending, or earlier in the same line.
-- Its deadline counts from now, not from when it began to wait.
-- Parameters: now, limit, owner, lease_expires_at, now, now.
WITH chosen AS MATERIALIZED (
    SELECT id FROM runlog_run AS mine
    WHERE status = 'pending' AND available_at <= %s AND gives_way
      AND (
        NOT waits
        OR NOT EXISTS (
            SELECT 1 FROM runlog_run AS other
            WHERE other.job_id = mine.job_id
              AND other.status IN ('pending', 'running')
              AND other.id <> mine.id
              AND (other.status = 'running' OR NOT other.gives_way OR other.id < mine.id)
        )
      )
    ORDER BY available_at, id
    LIMIT %s
    {skip_locked}
)
UPDATE runlog_run
SET status = 'running',
    lease_owner = %s,
    lease_term = lease_term + 1,
    lease_expires_at = %s,
    deadline_at = CASE
        WHEN started_at IS NULL THEN deadline_at - queued_at + %s ELSE deadline_at
    END,
    started_at = COALESCE(started_at, %s)
WHERE status = 'pending' AND id IN (SELECT id FROM chosen)
RETURNING id, job_id, key, dry_run, scheduled_at, queued_at, deadline_at, attempt, lease_term,
    at_most_once, gives_way, parameters
