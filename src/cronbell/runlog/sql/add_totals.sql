-- Add just counted runs to what there ever was; inside a transaction that holds the roll-ups'
-- cursor, under which the histograms were read that are written here whole. Rows: job or 0, status,
-- runs, retries, items_total, items_failed, timed, duration_sum, awaited, lateness_sum, durations,
-- latenesses. Parameters: rows.
INSERT INTO runlog_runtotal (
    job_number, status, runs, retries, items_total, items_failed,
    timed, duration_sum, awaited, lateness_sum, durations, latenesses
)
SELECT
    CAST(rows.value ->> 0 AS BIGINT),
    rows.value ->> 1,
    CAST(rows.value ->> 2 AS BIGINT),
    CAST(rows.value ->> 3 AS BIGINT),
    CAST(rows.value ->> 4 AS BIGINT),
    CAST(rows.value ->> 5 AS BIGINT),
    CAST(rows.value ->> 6 AS BIGINT),
    CAST(rows.value ->> 7 AS BIGINT),
    CAST(rows.value ->> 8 AS BIGINT),
    CAST(rows.value ->> 9 AS BIGINT),
    rows.value -> 10,
    rows.value -> 11
FROM {rows}
-- SQLite would take ON for the condition of a join.
WHERE TRUE
ON CONFLICT (job_number, status) DO UPDATE SET
    runs = runlog_runtotal.runs + excluded.runs,
    retries = runlog_runtotal.retries + excluded.retries,
    items_total = runlog_runtotal.items_total + excluded.items_total,
    items_failed = runlog_runtotal.items_failed + excluded.items_failed,
    timed = runlog_runtotal.timed + excluded.timed,
    duration_sum = runlog_runtotal.duration_sum + excluded.duration_sum,
    awaited = runlog_runtotal.awaited + excluded.awaited,
    lateness_sum = runlog_runtotal.lateness_sum + excluded.lateness_sum,
    durations = excluded.durations,
    latenesses = excluded.latenesses
