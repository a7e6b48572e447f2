-- How many runs of each status that is final a job has among some ids, counting no further than a
-- limit. Rows: status. Parameters: job id, first id, last id, limit, rows.
SELECT rows.value ->> 0, (
    SELECT COUNT(*) FROM (
        SELECT 1 FROM runlog_run AS run
        WHERE run.job_id = %s AND run.status = rows.value ->> 0 AND run.finished_at IS NOT NULL
          AND run.id BETWEEN %s AND %s
        LIMIT %s
    ) AS part
)
FROM {rows}
