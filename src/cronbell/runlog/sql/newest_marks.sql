-- A job's newest runs as squares show them, the newest first. Parameters: job id, limit.
SELECT id, status, kind, scheduled_at, started_at, finished_at
FROM runlog_run
WHERE job_id = %s
ORDER BY id DESC
LIMIT %s
