-- Keep what became of attempts that did not end their runs; before release, in its transaction.
-- Fenced like finish. Rows: run id, term, number, started_at, finished_at, reason, reason_data,
-- http_status. Parameters: rows, owner.
INSERT INTO runlog_attempt (
    run_id, number, term, started_at, finished_at, reason, reason_data, http_status
)
SELECT
    run.id,
    CAST(rows.value ->> 2 AS BIGINT),
    run.lease_term,
    CAST(rows.value ->> 3 AS BIGINT),
    CAST(rows.value ->> 4 AS BIGINT),
    rows.value ->> 5,
    rows.value -> 6,
    CAST(rows.value ->> 7 AS BIGINT)
FROM {rows}
JOIN runlog_run AS run
    ON run.id = CAST(rows.value ->> 0 AS BIGINT)
    AND run.status = 'running'
    AND run.lease_owner = %s
    AND run.lease_term = CAST(rows.value ->> 1 AS BIGINT)
