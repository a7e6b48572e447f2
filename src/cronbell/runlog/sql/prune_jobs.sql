-- The next jobs, each with whether it has more runs than are kept in any case: of the others
-- nothing is removed, and asking so for all of them at once is what makes a hundred thousand cheap.
-- Parameters: newest kept, after this job, how many.
SELECT job.id, EXISTS (
    SELECT 1 FROM runlog_run AS run
    WHERE run.job_id = job.id
    ORDER BY run.id DESC
    LIMIT 1 OFFSET %s
) AS enough
FROM runlog_job AS job
WHERE job.id > %s
ORDER BY job.id
LIMIT %s
