-- Give runs back to be tried again later: a retry, or the endpoint asked to wait.
-- Fenced like finish; a run that is being cancelled is not given back (end_cancelled ends it).
-- On PostgreSQL it is written as an insert that always meets its row, for the reason finish gives.
-- Rows: id, term, available_at, next attempt, sent_at (null where nothing was sent: a run of which
--   nothing ever was has not begun). Parameters: rows, owner.
-- only on postgresql {
INSERT INTO runlog_run
SELECT proposed.*
FROM {rows}
CROSS JOIN LATERAL (
    SELECT own FROM runlog_run AS own WHERE own.id = CAST(rows.value ->> 0 AS BIGINT) OFFSET 0
) AS held (own)
CROSS JOIN LATERAL jsonb_populate_record(held.own, jsonb_build_object(
    'lease_term', rows.value -> 1, 'available_at', rows.value -> 2, 'attempt', rows.value -> 3,
    'sent_at', rows.value -> 4
)) AS proposed
ON CONFLICT (id) DO UPDATE
-- }
-- only on sqlite {
UPDATE runlog_run NOT INDEXED
-- }
SET status = 'pending',
    available_at = excluded.available_at,
    attempt = excluded.attempt,
    sent_at = COALESCE(excluded.sent_at, runlog_run.sent_at),
    started_at = CASE
        WHEN COALESCE(excluded.sent_at, runlog_run.sent_at) IS NOT NULL THEN runlog_run.started_at
    END,
    lease_owner = '',
    lease_expires_at = NULL
-- only on sqlite {
FROM (
    SELECT
        CAST(rows.value ->> 0 AS BIGINT) AS id, CAST(rows.value ->> 1 AS BIGINT) AS lease_term,
        CAST(rows.value ->> 2 AS BIGINT) AS available_at, CAST(rows.value ->> 3 AS BIGINT) AS attempt,
        CAST(rows.value ->> 4 AS BIGINT) AS sent_at
    FROM {rows}
) AS excluded
-- }
WHERE runlog_run.id = excluded.id
  AND runlog_run.status = 'running'
  AND runlog_run.cancel_requested_at IS NULL
  AND runlog_run.lease_owner = %s
  AND runlog_run.lease_term = excluded.lease_term
RETURNING runlog_run.id
