-- End runs whose runner died and whose request may not be sent a second time: it may have been sent,
-- and nobody can tell what became of it. Parameters: now, now.
UPDATE runlog_run
SET status = 'unknown', reason = 'runner_lost', reason_data = '{"at_most_once": true}',
    finished_at = %s, lease_expires_at = NULL
WHERE status = 'running' AND lease_expires_at < %s AND NOT by_endpoint AND at_most_once
RETURNING id
