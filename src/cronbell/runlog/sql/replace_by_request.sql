-- End the runs that a run asked for by hand takes the place of (overlap = cancel_running); before
-- request_run, in its transaction. A second click of the same request finds its row and ends
-- nothing. Parameters: now, job id, key.
UPDATE runlog_run
SET status = 'cancelled', reason = 'replaced', finished_at = %s, lease_expires_at = NULL
WHERE job_id = %s
  AND status IN ('pending', 'running')
  AND NOT by_endpoint
  AND NOT gives_way
  AND NOT EXISTS (SELECT 1 FROM runlog_run AS same WHERE same.key = %s)
