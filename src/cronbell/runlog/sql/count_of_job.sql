-- How many runs of each status that is final a job has among some ids, counting no further than a
-- limit. Nothing is counted of a status of which the roll-ups of the range's newest days alone say
-- more: of those due that day, less what was removed and what no schedule asked for, whose lateness
-- is not known. What is given then is the limit.
-- Rows: status. Parameters: job id, the earliest day, the latest, the latest with how late runs
-- began, how many roll-ups are looked at, limit, limit, job id, first id, last id, limit, rows.
WITH sure AS MATERIALIZED (
    SELECT newest.status, SUM(newest.runs) AS runs
    FROM (
        SELECT day.status, day.runs - day.removed - day.timed + day.awaited AS runs
        FROM runlog_dailyrollup AS day
        WHERE day.job_id = %s AND day.day BETWEEN %s AND %s
          AND day.day + COALESCE(day.lateness_max, 0) <= %s
        ORDER BY day.day DESC
        LIMIT %s
    ) AS newest
    GROUP BY newest.status
)
SELECT rows.value ->> 0, CASE
    WHEN (SELECT sure.runs FROM sure WHERE sure.status = rows.value ->> 0) >= %s THEN %s
    ELSE (
        SELECT COUNT(*) FROM (
            SELECT 1 FROM runlog_run AS run
            WHERE run.job_id = %s AND run.status = rows.value ->> 0 AND run.finished_at IS NOT NULL
              AND run.id BETWEEN %s AND %s
            LIMIT %s
        ) AS part
    )
END
FROM {rows}
