-- Take a name from a job that is no longer there, for one that has to take it on: a name is
-- unique, and what the old job was called then is in its versions.
-- Members: name. Parameters: rows.
WITH batch AS MATERIALIZED (
    SELECT rows.value ->> 0 AS name FROM {rows}
)
UPDATE runlog_job
SET name = runlog_job.name || '~' || CAST(runlog_job.id AS TEXT)
FROM batch
WHERE runlog_job.name = batch.name AND runlog_job.removed_at IS NOT NULL
