-- Keep what jobs now are for whoever asks about the past; NULL: no longer there.
-- Members: id. Parameters: now, who, rows.
INSERT INTO runlog_jobversion (job_id, name, at, spec, applied_by)
SELECT
    job.id, job.name, CAST(%s AS BIGINT),
    CASE WHEN job.removed_at IS NULL THEN job.spec END,
    %s
-- CROSS: SQLite joins in the order written, the batch first.
FROM {rows} CROSS JOIN runlog_job AS job
WHERE job.id = CAST(rows.value ->> 0 AS BIGINT)
