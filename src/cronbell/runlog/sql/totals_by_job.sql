-- How many runs of a status (empty: of any) some jobs have. Rows: job id.
-- Parameters: rows, status, status, status, status, status, status.
WITH chosen AS (
    SELECT CAST(rows.value ->> 0 AS BIGINT) AS id FROM {rows}
)
SELECT found.job_id, CAST(SUM(found.runs) AS BIGINT)
FROM (
    SELECT total.job_number AS job_id, total.runs
    FROM chosen CROSS JOIN runlog_runtotal AS total
    WHERE total.job_number = chosen.id AND (total.status = %s OR %s = '')
    UNION ALL
    SELECT run.job_id, COUNT(*) FROM runlog_run AS run
    WHERE run.id > (SELECT COALESCE(MAX(upto), 0) FROM runlog_rollupcursor)
      AND (run.status = %s OR %s = '')
    GROUP BY run.job_id
    UNION ALL
    SELECT run.job_id, COUNT(*)
    FROM runlog_rollupleft AS waiting CROSS JOIN runlog_run AS run
    WHERE run.id = waiting.run_id AND (run.status = %s OR %s = '')
    GROUP BY run.job_id
) AS found
GROUP BY found.job_id
