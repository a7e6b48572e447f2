-- The oldest runs of a job and status that may be removed. They are looked for among a bounded
-- number of the oldest, so that a job whose runs are all young costs no more than that.
-- Kept: the newest of its status (it tells how the job stands), what is not rolled up yet, fires
-- from a bound on, what belongs to a backfill that goes on, and the missed rows it fills.
-- Parameters: job id, status, newest rolled up, job id, status, looked at, ended before, fires from,
-- limit.
WITH oldest AS MATERIALIZED (
    SELECT run.id, run.kind, run.scheduled_at, run.finished_at
    FROM runlog_run AS run
    WHERE run.job_id = %s AND run.status = %s AND run.finished_at IS NOT NULL
      AND run.id <= %s
      AND run.id < (
          SELECT MAX(last.id) FROM runlog_run AS last
          WHERE last.job_id = %s AND last.status = %s AND last.finished_at IS NOT NULL
      )
      AND NOT EXISTS (
          SELECT 1 FROM runlog_backfill AS going
          WHERE going.ended_at IS NULL AND (
              going.id = run.backfill_id
              OR (going.job_id = run.job_id AND going.missed_only AND run.status = 'missed')
          )
      )
    ORDER BY run.id
    LIMIT %s
)
SELECT oldest.id
FROM oldest
WHERE oldest.finished_at < %s
  AND NOT (oldest.kind = 'schedule' AND oldest.scheduled_at >= %s)
  AND NOT EXISTS (SELECT 1 FROM runlog_rollupleft AS counted WHERE counted.run_id = oldest.id)
ORDER BY oldest.id
LIMIT %s
