-- End watched runs that began and never said that they ended; they ended when their time was over.
-- Parameters: owner, now, limit.
WITH chosen AS MATERIALIZED (
    SELECT id FROM runlog_run
    WHERE status = 'running' AND lease_expires_at IS NULL AND lease_owner = %s
      AND deadline_at <= %s
    ORDER BY id
    LIMIT %s
    {skip_locked}
)
UPDATE runlog_run
SET status = 'timed_out', reason = 'no_end', finished_at = deadline_at,
    reason_data = {object}('seconds', (deadline_at - started_at) / 1000000)
WHERE status = 'running' AND id IN (SELECT id FROM chosen)
RETURNING id
