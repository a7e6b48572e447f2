-- What a list shows of some runs, the newest first. Rows: run id. Parameters: rows.
SELECT
    run.id, run.status, run.scheduled_at, run.started_at, run.finished_at,
    run.reason, CAST(run.reason_data AS TEXT), run.missed_count, run.details,
    job.name, job.timezone
FROM {rows} CROSS JOIN runlog_run AS run CROSS JOIN runlog_job AS job
WHERE run.id = CAST(rows.value ->> 0 AS BIGINT) AND job.id = run.job_id
ORDER BY run.id DESC
