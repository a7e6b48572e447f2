-- The next jobs that have runs, each with whether it has more than are kept in any case: of the
-- others nothing is removed. From one job to the next by the index of their runs: to go through the
-- jobs themselves reads all their definitions, 80 MB of a hundred thousand that never run.
-- Parameters: after this job, how many, newest kept.
WITH RECURSIVE each (job_id, number) AS (
    SELECT MIN(first.job_id), 1 FROM runlog_run AS first WHERE first.job_id > %s
    UNION ALL
    SELECT
        (SELECT MIN(run.job_id) FROM runlog_run AS run WHERE run.job_id > each.job_id),
        each.number + 1
    FROM each
    WHERE each.job_id IS NOT NULL AND each.number < %s
)
SELECT each.job_id, EXISTS (
    SELECT 1 FROM runlog_run AS run
    WHERE run.job_id = each.job_id
    ORDER BY run.id DESC
    LIMIT 1 OFFSET %s
) AS enough
FROM each
WHERE each.job_id IS NOT NULL
ORDER BY each.job_id
