-- An endpoint records a call that no runner sent. Where a row for the key or for that fire exists
-- already, nothing is added: whoever calls, a fire is in the log once.
-- Parameters: key, kind, dry_run, scheduled_at, now ×3, deadline, owner, lease_expires_at,
-- parameters as the text of a JSON object, job id.
INSERT INTO runlog_run (
    job_id, key, kind, status, reason, dry_run, by_endpoint,
    scheduled_at, queued_at, available_at, started_at, deadline_at, waits, at_most_once,
    attempt, lease_owner, lease_term, lease_expires_at, missed_count,
    items_total, items_failed, actor, parameters, details, reason_data, body
)
SELECT
    job.id, %s, %s, 'running', '', CAST(%s AS BOOLEAN), TRUE,
    CAST(%s AS BIGINT), CAST(%s AS BIGINT), CAST(%s AS BIGINT), CAST(%s AS BIGINT),
    CAST(%s AS BIGINT), FALSE, FALSE, 1, %s, 1, CAST(%s AS BIGINT), 0,
    0, 0, '', {json}(CAST(%s AS TEXT)), '', '{}', ''
FROM runlog_job AS job
WHERE job.id = %s
ON CONFLICT DO NOTHING
RETURNING id
