-- The runs that have a text in their details or their job's name, among the newest of them. How far
-- those reach the index of ids alone says; looked up one by one, each took twice as long.
-- Rows: number of a run that is not meant.
-- Parameters: last id, first id, last id, rows, how many are looked at, pattern, pattern.
SELECT run.id, run.status, run.job_id
FROM runlog_run AS run
-- One lower bound: of two, SQLite may begin at the lower.
WHERE run.id <= %s
  AND run.id >= (
    SELECT MIN(newest.id)
    FROM (
        SELECT own.id FROM runlog_run AS own
        WHERE own.id BETWEEN %s AND %s
          AND own.id NOT IN (SELECT CAST(rows.value ->> 0 AS BIGINT) FROM {rows})
        ORDER BY own.id DESC
        LIMIT %s
    ) AS newest
  )
  AND (
    UPPER(run.details) LIKE UPPER(%s) ESCAPE '\'
    OR run.job_id IN (
        SELECT job.id FROM runlog_job AS job WHERE UPPER(job.name) LIKE UPPER(%s) ESCAPE '\'
    )
  )
ORDER BY run.id DESC
