-- End runs that an endpoint recorded itself and whose process died: nobody will send them again.
-- Parameters: now, now.
UPDATE runlog_run
SET status = 'error', reason = 'process_lost', finished_at = %s, lease_expires_at = NULL
WHERE status = 'running' AND lease_expires_at < %s AND by_endpoint
RETURNING id
