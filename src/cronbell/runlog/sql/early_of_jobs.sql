-- The runs of these jobs that were recorded early and do not begin before some instant: whichever
-- runner they are. A run that was recorded when it was due has begun by then, and one that was sent
-- before has said so. Rows: job id. Parameters: rows, instant.
SELECT run.id, run.job_id, run.scheduled_at
FROM {rows} {active_locked}
WHERE run.job_id = CAST(rows.value ->> 0 AS BIGINT)
  AND run.status IN ('pending', 'running')
  AND run.status = 'running' AND run.kind = 'schedule' AND NOT run.by_endpoint
  AND run.started_at > %s AND run.sent_at IS NULL
