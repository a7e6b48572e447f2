-- Whose are the newest runs of a status that is final between two ids that began within a range of
-- time. Parameters: status, first id, last id, since, until, how many runs are looked at.
SELECT newest.job_id, COUNT(*), FALSE
FROM (
    SELECT run.job_id
    FROM runlog_run AS run
    WHERE run.status = %s AND run.finished_at IS NOT NULL AND run.id BETWEEN %s AND %s
      AND COALESCE(run.started_at, run.scheduled_at) >= %s
      AND COALESCE(run.started_at, run.scheduled_at) < %s
    ORDER BY run.id DESC
    LIMIT %s
) AS newest
GROUP BY newest.job_id
