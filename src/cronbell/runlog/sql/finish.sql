-- End runs. Only a running row whose lease (owner and term) is the caller's changes; the ids that
-- did are given back, so that a finish that came too late is noticed.
-- started_at stays the first attempt's where there were several (sent_at is set by their ends).
-- Rows: id, term, status, reason, reason_data, http_status, started_at, finished_at, details,
--       body, items_total, items_failed. Parameters: rows, owner.
UPDATE runlog_run {by_id}
SET status = rows.value ->> 2,
    reason = rows.value ->> 3,
    reason_data = rows.value -> 4,
    http_status = CAST(rows.value ->> 5 AS BIGINT),
    started_at = CASE
        WHEN sent_at IS NULL THEN CAST(rows.value ->> 6 AS BIGINT) ELSE started_at
    END,
    sent_at = CAST(rows.value ->> 6 AS BIGINT),
    finished_at = CAST(rows.value ->> 7 AS BIGINT),
    details = rows.value ->> 8,
    body = rows.value ->> 9,
    items_total = CAST(rows.value ->> 10 AS BIGINT),
    items_failed = CAST(rows.value ->> 11 AS BIGINT),
    lease_expires_at = NULL
FROM {rows}
WHERE runlog_run.id = CAST(rows.value ->> 0 AS BIGINT)
  AND runlog_run.status = 'running'
  AND runlog_run.lease_owner = %s
  AND runlog_run.lease_term = CAST(rows.value ->> 1 AS BIGINT)
RETURNING runlog_run.id
