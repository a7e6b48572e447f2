-- Give runs back to be tried again later: a retry, or the endpoint asked to wait.
-- Fenced like finish; a run that is being cancelled is not given back (end_cancelled ends it). Rows: id, term, available_at, next attempt,
-- sent_at (null where nothing was sent). Parameters: rows, owner.
UPDATE runlog_run {by_id}
SET status = 'pending',
    available_at = CAST(rows.value ->> 2 AS BIGINT),
    attempt = CAST(rows.value ->> 3 AS BIGINT),
    sent_at = COALESCE(CAST(rows.value ->> 4 AS BIGINT), sent_at),
    lease_owner = '',
    lease_expires_at = NULL
FROM {rows}
WHERE runlog_run.id = CAST(rows.value ->> 0 AS BIGINT)
  AND runlog_run.status = 'running'
  AND runlog_run.cancel_requested_at IS NULL
  AND runlog_run.lease_owner = %s
  AND runlog_run.lease_term = CAST(rows.value ->> 1 AS BIGINT)
RETURNING runlog_run.id
