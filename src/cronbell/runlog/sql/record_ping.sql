-- Record what a ping said, in one row: that of the fire it answers, or one of its own.
-- Only where the job's cursor still is where it was read; a fire that has its row keeps it.
-- No runner sends it and no lease runs out: "by_endpoint", without an expiry. The owner is "ping".
-- Rows (one): job id, cursor read, cursor new, key, kind, status, reason, reason_data, scheduled_at,
--       now, finished_at, deadline_at, details, body. Parameters: owner, rows.
INSERT INTO runlog_run (
    job_id, key, kind, status, reason, dry_run, by_endpoint,
    scheduled_at, queued_at, available_at, started_at, finished_at, deadline_at,
    waits, at_most_once, attempt, lease_owner, lease_term, missed_count,
    items_total, items_failed, actor, details, reason_data, body
)
SELECT
    job.id, rows.value ->> 3, rows.value ->> 4, rows.value ->> 5, rows.value ->> 6, FALSE, TRUE,
    CAST(rows.value ->> 8 AS BIGINT), CAST(rows.value ->> 9 AS BIGINT),
    CAST(rows.value ->> 9 AS BIGINT), CAST(rows.value ->> 9 AS BIGINT),
    CAST(rows.value ->> 10 AS BIGINT), CAST(rows.value ->> 11 AS BIGINT),
    FALSE, FALSE, 1, %s, 1, 0,
    0, 0, '', rows.value ->> 12, rows.value -> 7, rows.value ->> 13
FROM {rows}
JOIN runlog_job AS job
    ON job.id = CAST(rows.value ->> 0 AS BIGINT)
    AND job.cursor_at = CAST(rows.value ->> 1 AS BIGINT)
WHERE TRUE
ON CONFLICT DO NOTHING
RETURNING id
