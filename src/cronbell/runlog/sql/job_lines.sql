-- The configured jobs by name, each with its newest run, and how many there are in all.
-- Parameters: pattern of the name, limit, pattern of the name.
WITH shown AS MATERIALIZED (
    SELECT job.*, (SELECT MAX(run.id) FROM runlog_run AS run WHERE run.job_id = job.id) AS last_run
    FROM runlog_job AS job
    WHERE job.removed_at IS NULL AND UPPER(job.name) LIKE UPPER(%s) ESCAPE '\'
    ORDER BY job.name
    LIMIT %s
)
SELECT
    shown.*, (SELECT run.status FROM runlog_run AS run WHERE run.id = shown.last_run) AS last_status,
    (
        SELECT COUNT(*) FROM runlog_job AS job
        WHERE job.removed_at IS NULL AND UPPER(job.name) LIKE UPPER(%s) ESCAPE '\'
    ) AS jobs_total
FROM shown
ORDER BY shown.name
