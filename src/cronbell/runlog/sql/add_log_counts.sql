-- Add to the totals by job and status. Rows: job id (0: all jobs), status, how many; fewer than
-- none where runs are removed. Parameters: rows.
INSERT INTO runlog_logcount (job_number, status, runs)
SELECT
    CAST(rows.value ->> 0 AS BIGINT), rows.value ->> 1, CAST(rows.value ->> 2 AS BIGINT)
FROM {rows}
WHERE TRUE
ON CONFLICT (job_number, status) DO UPDATE SET runs = runlog_logcount.runs + excluded.runs
