-- A job's runs that no schedule asked for, between two instants.
-- Parameters: job id, from, until, limit.
SELECT id
FROM runlog_run
WHERE NOT (kind = 'schedule') AND job_id = %s AND scheduled_at >= %s AND scheduled_at < %s
ORDER BY scheduled_at
LIMIT %s
