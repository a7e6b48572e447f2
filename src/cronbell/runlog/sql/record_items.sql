-- Keep the items of runs that were just finished. Rows: run id, record id, ok, http_status,
-- error, body. Parameters: rows.
INSERT INTO runlog_item (run_id, record_id, ok, http_status, error, body)
SELECT
    CAST(rows.value ->> 0 AS BIGINT),
    rows.value ->> 1,
    CAST(rows.value ->> 2 AS BOOLEAN),
    CAST(rows.value ->> 3 AS BIGINT),
    rows.value ->> 4,
    rows.value -> 5
FROM {rows}
