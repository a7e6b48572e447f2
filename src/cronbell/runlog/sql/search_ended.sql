-- The runs of a job and a status that have a text in their details, among the newest of them. The
-- index of ended runs is walked and each row read once: with the numbers looked up first, each was
-- found by its number once more, which took longer than all else.
-- Parameters: job id, status, first id, last id, how many are looked at, pattern,
-- whether all of the job's are meant.
SELECT looked_at.id, looked_at.status, looked_at.job_id
FROM (
    SELECT run.id, run.status, run.job_id, run.details
    FROM runlog_run AS run
    WHERE run.job_id = %s AND run.status = %s AND run.finished_at IS NOT NULL
      AND run.id BETWEEN %s AND %s
    ORDER BY run.id DESC
    LIMIT %s
) AS looked_at
WHERE UPPER(looked_at.details) LIKE UPPER(%s) ESCAPE '\' OR %s
ORDER BY looked_at.id DESC
