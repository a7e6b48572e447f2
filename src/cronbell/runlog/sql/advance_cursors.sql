-- Move the cursors of the jobs whose fires were just recorded; the same transaction.
-- Gives the ids that moved: a job missing from the answer was planned by another runner.
-- Rows: job id, cursor read, cursor new, … Parameters: rows.
UPDATE runlog_job {by_id}
SET cursor_at = CAST(rows.value ->> 2 AS BIGINT)
FROM {rows}
WHERE runlog_job.id = CAST(rows.value ->> 0 AS BIGINT)
  AND runlog_job.cursor_at = CAST(rows.value ->> 1 AS BIGINT)
RETURNING runlog_job.id
