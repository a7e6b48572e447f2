-- Have a run wait that was recorded early and does not begin before some instant: nobody's any more.
-- Parameters: run id, instant.
UPDATE runlog_run
SET status = 'pending', started_at = NULL, lease_owner = '', lease_expires_at = NULL
WHERE id = %s AND status = 'running' AND kind = 'schedule' AND NOT by_endpoint
  AND started_at > %s AND sent_at IS NULL
