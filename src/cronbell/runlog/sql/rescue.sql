-- Give back runs whose runner died: they are sent again with the same key and attempt number, so
-- that an endpoint which already worked answers with what it did. One that was recorded early and
-- is not due yet waits until it is. Parameters: now, now, now.
UPDATE runlog_run
SET status = 'pending',
    available_at = CASE WHEN available_at > %s THEN available_at ELSE %s END,
    lease_owner = '', lease_expires_at = NULL
WHERE status = 'running' AND lease_expires_at < %s AND NOT by_endpoint AND NOT at_most_once
RETURNING id
