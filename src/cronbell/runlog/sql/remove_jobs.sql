-- Take jobs out of force; their rows and runs stay.
-- Members: id. Parameters: rows, now.
WITH batch AS MATERIALIZED (
    SELECT CAST(rows.value ->> 0 AS BIGINT) AS id FROM {rows}
)
UPDATE runlog_job {by_id}
SET removed_at = CAST(%s AS BIGINT)
FROM batch
WHERE runlog_job.id = batch.id AND runlog_job.removed_at IS NULL
