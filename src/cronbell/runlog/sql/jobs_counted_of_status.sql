-- Whose are the newest runs of a status that is final in a range of time: of three spans of ids, of
-- which the middle one has runs of the range only, but for some. Those are not looked at: an index
-- alone says how far down the newest reach, another how many of them each job has.
-- The ends are ordered by what leads to their runs, so that no more are looked at than are wanted.
-- Rows: id and job of a run of the middle that is not of the range; then job id.
-- Gives: job id, how many, whether they are among those of the row of job 0, which is the whole
-- middle. Of that only the jobs asked for are told apart.
-- Parameters: rows of runs, status, status, first id of the newer end, its last id, since, until, how
-- many runs are looked at, status, first id of the middle, its last id, how many, status, first id of the
-- older end, its last id, since, until, how many, status, last id of the middle, rows of jobs.
WITH beside AS MATERIALIZED (
    -- Those that are of the status by now.
    SELECT known.id, known.job_id
    FROM (
        SELECT CAST(rows.value ->> 0 AS BIGINT) AS id, CAST(rows.value ->> 1 AS BIGINT) AS job_id
        FROM {rows}
    ) AS known
    WHERE EXISTS (
        SELECT 1 FROM runlog_run AS run
        WHERE run.id = known.id AND run.status = %s AND run.finished_at IS NOT NULL
    )
),
newer AS MATERIALIZED (
    SELECT run.id, run.job_id
    FROM (
        SELECT own.id AS first, own.id AS last FROM runlog_run AS own
        WHERE own.status = %s AND own.finished_at IS NOT NULL AND own.id BETWEEN %s AND %s
    ) AS span {spanned}
    WHERE run.id BETWEEN span.first AND span.last
      AND COALESCE(run.started_at, run.scheduled_at) >= %s
      AND COALESCE(run.started_at, run.scheduled_at) < %s
    ORDER BY span.first DESC
    LIMIT %s
),
reached AS MATERIALIZED (
    SELECT MIN(middle.id) AS lowest, COUNT(*) AS runs
    FROM (
        SELECT run.id FROM runlog_run AS run
        WHERE run.status = %s AND run.finished_at IS NOT NULL AND run.id BETWEEN %s AND %s
          AND run.id NOT IN (SELECT beside.id FROM beside)
        ORDER BY run.id DESC
        LIMIT %s - (SELECT COUNT(*) FROM newer)
    ) AS middle
),
older AS MATERIALIZED (
    SELECT run.id, run.job_id
    FROM (
        SELECT own.id AS first, own.id AS last FROM runlog_run AS own
        WHERE own.status = %s AND own.finished_at IS NOT NULL AND own.id BETWEEN %s AND %s
    ) AS span {spanned}
    WHERE run.id BETWEEN span.first AND span.last
      AND COALESCE(run.started_at, run.scheduled_at) >= %s
      AND COALESCE(run.started_at, run.scheduled_at) < %s
    ORDER BY span.first DESC
    LIMIT %s - (SELECT COUNT(*) FROM newer) - (SELECT reached.runs FROM reached)
)
SELECT newer.job_id, COUNT(*), FALSE FROM newer GROUP BY newer.job_id
UNION ALL
SELECT older.job_id, COUNT(*), FALSE FROM older GROUP BY older.job_id
UNION ALL
-- Taken off, not left out: asking of each run whether it is one of them took as long as counting.
SELECT chosen.id, (
    SELECT COUNT(*) FROM runlog_run AS run
    WHERE run.job_id = chosen.id AND run.status = %s AND run.finished_at IS NOT NULL
      AND run.id BETWEEN reached.lowest AND %s
) - (
    SELECT COUNT(*) FROM beside
    WHERE beside.job_id = chosen.id AND beside.id >= reached.lowest
), TRUE
FROM reached CROSS JOIN (SELECT CAST(rows.value ->> 0 AS BIGINT) AS id FROM {rows}) AS chosen
WHERE reached.runs > 0
UNION ALL
SELECT 0, reached.runs, FALSE FROM reached
