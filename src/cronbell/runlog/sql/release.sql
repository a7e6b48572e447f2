-- Give runs back to be tried again later: a retry, or the endpoint asked to wait.
-- Fenced like finish; a run that is being cancelled is not given back (end_cancelled ends it).
-- On PostgreSQL it is written as an insert that always meets its row, for the reason finish gives.
-- Rows: id, term, available_at, next attempt, sent_at (null where nothing was sent: a run of which
--   nothing ever was has not begun). Parameters: rows, owner.
WITH given AS MATERIALIZED (
    SELECT rows.value FROM {rows}
)
-- only on postgresql {
INSERT INTO runlog_run
SELECT proposed.*
FROM given
CROSS JOIN LATERAL (
    SELECT own FROM runlog_run AS own WHERE own.id = CAST(given.value ->> 0 AS BIGINT) OFFSET 0
) AS held (own)
CROSS JOIN LATERAL jsonb_populate_record(held.own, jsonb_build_object(
    'lease_term', given.value -> 1, 'available_at', given.value -> 2, 'attempt', given.value -> 3,
    'sent_at', given.value -> 4
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
        CAST(given.value ->> 0 AS BIGINT) AS id, CAST(given.value ->> 1 AS BIGINT) AS lease_term,
        CAST(given.value ->> 2 AS BIGINT) AS available_at,
        CAST(given.value ->> 3 AS BIGINT) AS attempt, CAST(given.value ->> 4 AS BIGINT) AS sent_at
    FROM given
) AS excluded
-- }
WHERE runlog_run.id = excluded.id
  AND runlog_run.status = 'running'
  AND runlog_run.cancel_requested_at IS NULL
  AND runlog_run.lease_owner = %s
  AND runlog_run.lease_term = excluded.lease_term
RETURNING runlog_run.id
