-- How many runs of a status (empty: of any) some jobs have. What is not counted yet is gathered
-- first: grouped at once, SQLite goes over the index of all runs by job.
-- Rows: job id.
-- Parameters: rows, cursor read before, status, status, status, status, status, status.
WITH chosen AS (
    SELECT CAST(rows.value ->> 0 AS BIGINT) AS id FROM {rows}
),
uncounted AS MATERIALIZED (
    SELECT run.job_id FROM runlog_run AS run
    WHERE run.id > %s AND run.id > (SELECT COALESCE(MAX(upto), 0) FROM runlog_rollupcursor)
      AND (run.status = %s OR %s = '')
    UNION ALL
    SELECT run.job_id
    FROM runlog_rollupleft AS waiting CROSS JOIN runlog_run AS run
    WHERE run.id = waiting.run_id AND (run.status = %s OR %s = '')
)
SELECT found.job_id, CAST(SUM(found.runs) AS BIGINT)
FROM (
    SELECT total.job_number AS job_id, total.runs
    FROM chosen CROSS JOIN runlog_logcount AS total
    WHERE total.job_number = chosen.id AND (total.status = %s OR %s = '')
    UNION ALL
    SELECT uncounted.job_id, 1 FROM uncounted
) AS found
GROUP BY found.job_id
