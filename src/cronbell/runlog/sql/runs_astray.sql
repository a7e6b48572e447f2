-- Runs that began at another time than their neighbours, by ids and week.
-- Rows: first id, last id, first instant, last instant. Parameters: rows.
WITH span AS MATERIALIZED (
    SELECT
        CAST(rows.value ->> 0 AS BIGINT) AS first, CAST(rows.value ->> 1 AS BIGINT) AS last,
        CAST(rows.value ->> 2 AS BIGINT) AS oldest, CAST(rows.value ->> 3 AS BIGINT) AS newest
    FROM {rows}
)
SELECT run.id, run.job_id, run.status, COALESCE(run.started_at, run.scheduled_at)
FROM span {spanned}
WHERE run.id BETWEEN span.first AND span.last AND run.finished_at IS NOT NULL
  AND COALESCE(run.started_at, run.scheduled_at) BETWEEN span.oldest AND span.newest
