-- Give jobs their new definitions, and their new names. One that is timed differently starts now;
-- the cursor of another is left alone, wherever a runner has moved it in the meantime.
-- Members: name, path, schedule, dialect, timezone, method, enabled, definition, id, whether it
--   starts anew. Parameters: rows, now.
WITH batch AS MATERIALIZED (
    SELECT
        rows.value ->> 0 AS name,
        rows.value ->> 1 AS path,
        rows.value ->> 2 AS schedule,
        rows.value ->> 3 AS dialect,
        rows.value ->> 4 AS timezone,
        rows.value ->> 5 AS method,
        CAST(rows.value ->> 6 AS BOOLEAN) AS enabled,
        rows.value -> 7 AS spec,
        CAST(rows.value ->> 8 AS BIGINT) AS id,
        CAST(rows.value ->> 9 AS BOOLEAN) AS anew
    FROM {rows}
)
UPDATE runlog_job {by_id}
SET name = batch.name,
    path = batch.path,
    schedule = batch.schedule,
    dialect = batch.dialect,
    timezone = batch.timezone,
    method = batch.method,
    enabled = batch.enabled,
    spec = batch.spec,
    cursor_at = CASE WHEN batch.anew THEN CAST(%s AS BIGINT) ELSE runlog_job.cursor_at END
FROM batch
WHERE runlog_job.id = batch.id
RETURNING runlog_job.id, runlog_job.name, runlog_job.cursor_at
