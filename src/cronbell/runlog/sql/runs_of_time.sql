-- How many runs of each status and span began within a range of time, of those in some spans of
-- ids. Rows: first id, last id. Parameters: rows, since, until.
WITH span AS MATERIALIZED (
    SELECT CAST(rows.value ->> 0 AS BIGINT) AS first, CAST(rows.value ->> 1 AS BIGINT) AS last
    FROM {rows}
)
SELECT run.status, span.first, COUNT(*)
FROM span {spanned}
WHERE run.id BETWEEN span.first AND span.last
  AND COALESCE(run.started_at, run.scheduled_at) >= %s
  AND COALESCE(run.started_at, run.scheduled_at) < %s
GROUP BY run.status, span.first
