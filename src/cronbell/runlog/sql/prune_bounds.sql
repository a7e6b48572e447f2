-- What of a job must stay: its newest runs, and its fires from the last recorded one on. A job
-- with fewer runs than are kept gives no row.
-- Parameters: job id, newest kept, job id.
SELECT run.id AS newest_kept, job.cursor_at, (
    SELECT MAX(fire.scheduled_at) FROM runlog_run AS fire
    WHERE fire.kind = 'schedule' AND fire.job_id = job.id
) AS last_fire
FROM runlog_job AS job
CROSS JOIN (
    SELECT id FROM runlog_run WHERE job_id = %s ORDER BY id DESC LIMIT 1 OFFSET %s
) AS run
WHERE job.id = %s
