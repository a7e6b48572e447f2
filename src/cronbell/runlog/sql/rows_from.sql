-- The rows that account for a job's fires from an instant on, earliest first: those of a minute,
-- and the one after it, which may stand for an outage that began before. The kind is written out:
-- SQLite uses a partial index only where the query repeats its condition.
-- Parameters: job id, scheduled_at, limit.
SELECT id, scheduled_at
FROM runlog_run
WHERE kind = 'schedule' AND job_id = %s AND scheduled_at >= %s
ORDER BY scheduled_at
LIMIT %s
