-- How many runs a lease still holds that is one batch's of runs recorded early.
-- Parameters: lease_expires_at.
SELECT COUNT(*) FROM runlog_run WHERE status = 'running' AND lease_expires_at = %s
