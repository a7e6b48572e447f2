-- Move the cursors of the jobs whose fires were just recorded; the same transaction.
-- Gives the ids that moved: a job missing from the answer was planned by another runner.
-- Groups: as record_fires. Parameters: groups.
WITH shared AS MATERIALIZED (
    SELECT groups.value -> 0 AS members, CAST(groups.value ->> 1 AS BIGINT) AS cursor_new
    FROM {groups}
),
batch AS MATERIALIZED (
    SELECT
        CAST(members.value ->> 0 AS BIGINT) AS job_id,
        CAST(members.value ->> 1 AS BIGINT) AS cursor_read,
        shared.cursor_new
    FROM shared CROSS JOIN {members}
)
UPDATE runlog_job {by_id}
SET cursor_at = batch.cursor_new
FROM batch
WHERE runlog_job.id = batch.job_id AND runlog_job.cursor_at = batch.cursor_read
RETURNING runlog_job.id
