-- The runs of a status that is final between two ids that began within a range of time, the newest
-- first.
-- Parameters: status, first id, last id, since, until, limit, how many are left out first.
SELECT run.id
FROM runlog_run AS run
WHERE run.status = %s AND run.finished_at IS NOT NULL AND run.id BETWEEN %s AND %s
  AND COALESCE(run.started_at, run.scheduled_at) >= %s
  AND COALESCE(run.started_at, run.scheduled_at) < %s
ORDER BY run.id DESC
LIMIT %s OFFSET %s
