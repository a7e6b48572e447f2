-- Put the cursors of jobs back to before fires whose rows were taken back.
-- Rows: job id, instant of the fire. Parameters: rows.
UPDATE runlog_job {by_id}
SET cursor_at = CAST(rows.value ->> 1 AS BIGINT) - 1
FROM {rows}
WHERE runlog_job.id = CAST(rows.value ->> 0 AS BIGINT)
  AND runlog_job.cursor_at >= CAST(rows.value ->> 1 AS BIGINT)
