-- The runs that were left, as they are now. Parameters: (none).
SELECT run.id, run.job_id, run.status, COALESCE(run.started_at, run.scheduled_at)
FROM runlog_rollupleft AS waiting CROSS JOIN runlog_run AS run
WHERE run.id = waiting.run_id
