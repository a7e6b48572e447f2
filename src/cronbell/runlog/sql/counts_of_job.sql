-- How many runs a job has of each status: those counted, those after the cursor, those left.
-- Parameters: job id, job id, cursor read before, job id.
SELECT found.status, CAST(SUM(found.runs) AS BIGINT)
FROM (
    SELECT total.status, total.runs FROM runlog_logcount AS total WHERE total.job_number = %s
    UNION ALL
    SELECT run.status, COUNT(*) FROM runlog_run AS run
    WHERE run.job_id = %s
      AND run.id > %s AND run.id > (SELECT COALESCE(MAX(upto), 0) FROM runlog_rollupcursor)
    GROUP BY run.status
    UNION ALL
    SELECT run.status, COUNT(*)
    FROM runlog_rollupleft AS waiting CROSS JOIN runlog_run AS run
    WHERE run.id = waiting.run_id AND waiting.job_id = %s
    GROUP BY run.status
) AS found
GROUP BY found.status
