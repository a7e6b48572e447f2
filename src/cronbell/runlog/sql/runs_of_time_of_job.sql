-- How many runs of a job of each status and span began within a range of time, of those in some
-- spans of ids; an index leads to them alone.
-- Rows: first id, last id. Parameters: job id, rows, since, until.
WITH span AS MATERIALIZED (
    SELECT
        CAST(%s AS BIGINT) AS job_id,
        CAST(rows.value ->> 0 AS BIGINT) AS first, CAST(rows.value ->> 1 AS BIGINT) AS last
    FROM {rows}
)
SELECT run.status, span.first, COUNT(*)
FROM span CROSS JOIN
-- only on sqlite {
    runlog_run AS run
WHERE run.job_id = span.job_id AND run.id BETWEEN span.first AND span.last
-- }
-- only on postgresql {
    -- Not looked behind an OFFSET, as of any job.
    LATERAL (
        SELECT * FROM runlog_run AS own
        WHERE own.job_id = span.job_id AND own.id BETWEEN span.first AND span.last
        OFFSET 0
    ) AS run
WHERE TRUE
-- }
  AND COALESCE(run.started_at, run.scheduled_at) >= %s
  AND COALESCE(run.started_at, run.scheduled_at) < %s
GROUP BY run.status, span.first
