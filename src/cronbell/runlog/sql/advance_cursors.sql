-- Move the cursors of the jobs whose fires were just recorded; the same transaction.
-- Gives the ids that moved: a job missing from the answer was planned by another runner.
-- Members: job id, cursor read. Shared: cursor new. Parameters: batch.
WITH shared AS MATERIALIZED (
    SELECT
        -- only on sqlite {
        groups.key AS number,
        -- }
        -- only on postgresql {
        groups.value -> 0 AS members,
        -- }
        CAST(groups.value ->> 1 AS BIGINT) AS cursor_new
    FROM {groups}
),
-- only on sqlite {
own (number, job_id, cursor_read) AS (VALUES {values:3}),
-- }
batch AS MATERIALIZED (
    SELECT own.job_id, own.cursor_read, shared.cursor_new
    -- only on sqlite {
    FROM own CROSS JOIN shared
    WHERE shared.number = own.number
    -- }
    -- only on postgresql {
    FROM shared CROSS JOIN LATERAL (
        SELECT
            CAST(members.value ->> 0 AS BIGINT) AS job_id,
            CAST(members.value ->> 1 AS BIGINT) AS cursor_read
        FROM {members}
    ) AS own
    -- }
)
UPDATE runlog_job {by_id}
SET cursor_at = batch.cursor_new
FROM batch
WHERE runlog_job.id = batch.job_id AND runlog_job.cursor_at = batch.cursor_read
RETURNING runlog_job.id
