-- How many runs there are of each status: those counted, those after the cursor, those left.
-- One statement, so that a run that is counted meanwhile is neither missed nor taken twice.
-- The cursor as it was read before tells the store how few runs are after it: without that
-- PostgreSQL takes them for a third of the log.
-- Parameters: cursor read before.
SELECT found.status, CAST(SUM(found.runs) AS BIGINT)
FROM (
    SELECT total.status, total.runs FROM runlog_logcount AS total WHERE total.job_number = 0
    UNION ALL
    SELECT run.status, COUNT(*) FROM runlog_run AS run
    WHERE run.id > %s AND run.id > (SELECT COALESCE(MAX(upto), 0) FROM runlog_rollupcursor)
    GROUP BY run.status
    UNION ALL
    SELECT run.status, COUNT(*)
    FROM runlog_rollupleft AS waiting CROSS JOIN runlog_run AS run
    WHERE run.id = waiting.run_id
    GROUP BY run.status
) AS found
GROUP BY found.status
