-- Keep the items of runs that were just finished. Rows: run id, record id, ok, http_status,
-- error, body, attempts, microseconds, tokens, micromoney. Parameters: rows.
INSERT INTO runlog_item (
    run_id, job_id, record_id, ok, http_status, error, body,
    attempts, microseconds, tokens, micromoney
)
SELECT
    CAST(rows.value ->> 0 AS BIGINT),
    (SELECT job_id FROM runlog_run WHERE id = CAST(rows.value ->> 0 AS BIGINT)),
    rows.value ->> 1,
    CAST(rows.value ->> 2 AS BOOLEAN),
    CAST(rows.value ->> 3 AS BIGINT),
    rows.value ->> 4,
    rows.value -> 5,
    CAST(rows.value ->> 6 AS BIGINT),
    CAST(rows.value ->> 7 AS BIGINT),
    CAST(rows.value ->> 8 AS BIGINT),
    CAST(rows.value ->> 9 AS BIGINT)
FROM {rows}
