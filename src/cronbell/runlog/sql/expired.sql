-- Whether any lease has expired. Parameters: now.
SELECT 1 FROM runlog_run WHERE status = 'running' AND lease_expires_at < %s LIMIT 1
