-- Take up to N pending runs, oldest first, under a lease of this owner.
-- The row is committed as running before its request is sent: intent first, effect second.
-- A run that was queued behind others of its job waits for its turn: none running, none earlier
-- still pending. Whoever claims, at most the first of a queue qualifies.
-- What gives way to all others is claimed by claim_behind.
-- The choice is made once, ahead of the update: PostgreSQL may run a subquery in its WHERE again for
-- every row it joins, and each time lock and give N others.
-- Parameters: now, limit, owner, lease_expires_at, now.
WITH chosen AS MATERIALIZED (
    SELECT id FROM runlog_run AS mine
    WHERE status = 'pending' AND available_at <= %s AND NOT gives_way
      AND (
        NOT waits
        OR NOT EXISTS (
            SELECT 1 FROM runlog_run AS other
            WHERE other.job_id = mine.job_id
              AND other.status IN ('pending', 'running')
              AND other.id <> mine.id
              AND (other.status = 'running' OR (other.id < mine.id AND NOT other.gives_way))
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
    started_at = COALESCE(started_at, %s)
WHERE status = 'pending' AND id IN (SELECT id FROM chosen)
RETURNING id, job_id, key, dry_run, scheduled_at, queued_at, deadline_at, attempt, lease_term,
    at_most_once, gives_way, parameters
