-- Keep a line about attempts whose runner died; before rescue, in its transaction. What was recorded
-- early and has not begun is no attempt. Parameters: now, now, now.
INSERT INTO runlog_attempt (
    run_id, number, term, started_at, finished_at, reason, reason_data, http_status
)
SELECT id, attempt, lease_term, started_at, CAST(%s AS BIGINT), 'runner_lost', '{}', NULL
FROM runlog_run
WHERE status = 'running' AND lease_expires_at < %s AND NOT by_endpoint AND NOT at_most_once
  AND started_at <= CAST(%s AS BIGINT)
