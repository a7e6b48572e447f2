-- The runs after the roll-ups' cursor, oldest first; those that go on are among them.
-- Parameters: cursor, last id, limit.
SELECT id, job_id, status, kind, dry_run, scheduled_at, started_at, finished_at,
    items_total, items_failed, attempt
FROM runlog_run
WHERE id > %s AND id <= %s
ORDER BY id
LIMIT %s
