-- The runs of a job and a status that have a text in their details, among the newest of them. How
-- far those reach the index of ended runs alone says; each row is then read once. With a limit in
-- its place PostgreSQL reads all of the job's and sorts them; with the numbers looked up first,
-- each row was found by its number once more, which took longer than all else.
-- Parameters: job id, status, last id, job id, status, first id, last id, how many are looked at,
-- pattern, whether all of them are meant.
SELECT run.id, run.status, run.job_id
FROM runlog_run AS run
WHERE run.job_id = %s AND run.status = %s AND run.finished_at IS NOT NULL
  -- One lower bound: of two, SQLite may begin at the lower.
  AND run.id <= %s
  AND run.id >= (
    SELECT MIN(newest.id)
    FROM (
        SELECT own.id FROM runlog_run AS own
        WHERE own.job_id = %s AND own.status = %s AND own.finished_at IS NOT NULL
          AND own.id BETWEEN %s AND %s
        ORDER BY own.id DESC
        LIMIT %s
    ) AS newest
  )
  AND (UPPER(run.details) LIKE UPPER(%s) ESCAPE '\' OR %s)
ORDER BY run.id DESC
