-- Record runs that a person asked for after the fact: reruns, replays, a backfill's fires. One row
-- per key, so that asking twice makes one run. Each waits its turn behind every other run of its
-- job, unless its overlap is allow; under skip it is skipped where one goes on or comes before it.
-- They line up by id, so these are given in order: PostgreSQL joins a batch from whichever side it
-- likes.
-- Rows: job id, key, kind, dry_run, scheduled_at, deadline in microseconds, at most once, origin,
-- backfill, overlap, ahead (others of the job before it in this batch), actor.
-- Parameters: now ×4, rows.
INSERT INTO runlog_run (
    job_id, key, kind, status, reason, dry_run, by_endpoint,
    scheduled_at, queued_at, available_at, finished_at, deadline_at, waits, gives_way,
    at_most_once, origin_id, backfill_id,
    attempt, lease_owner, lease_term, missed_count,
    items_total, items_failed, actor, parameters, details, reason_data, body
)
SELECT
    job_id, key, kind,
    CASE WHEN skipped THEN 'skipped' ELSE 'pending' END,
    CASE WHEN skipped THEN 'overlap' ELSE '' END,
    dry_run, FALSE,
    scheduled_at, CAST(%s AS BIGINT), CAST(%s AS BIGINT),
    CASE WHEN skipped THEN CAST(%s AS BIGINT) END,
    CAST(%s AS BIGINT) + deadline,
    overlap <> 'allow' AND NOT skipped, TRUE,
    at_most_once, origin_id, backfill_id,
    1, '', 0, 0, 0, 0, actor,
    -- What was chosen for the run that is done again is part of it.
    (SELECT before.parameters FROM runlog_run AS before WHERE before.id = asked.origin_id),
    '', '{}', ''
FROM (
    SELECT
        job.id AS job_id,
        rows.value ->> 1 AS key,
        rows.value ->> 2 AS kind,
        CAST(rows.value ->> 3 AS BOOLEAN) AS dry_run,
        CAST(rows.value ->> 4 AS BIGINT) AS scheduled_at,
        CAST(rows.value ->> 5 AS BIGINT) AS deadline,
        CAST(rows.value ->> 6 AS BOOLEAN) AS at_most_once,
        CAST(rows.value ->> 7 AS BIGINT) AS origin_id,
        CAST(rows.value ->> 8 AS BIGINT) AS backfill_id,
        rows.value ->> 9 AS overlap,
        rows.value ->> 9 = 'skip' AND (
            CAST(rows.value ->> 10 AS BIGINT) > 0
            OR EXISTS (
                SELECT 1 FROM runlog_run AS going
                WHERE going.job_id = job.id AND going.status IN ('pending', 'running')
            )
        ) AS skipped,
        rows.value ->> 11 AS actor
    FROM {rows}
    JOIN runlog_job AS job
        ON job.id = CAST(rows.value ->> 0 AS BIGINT) AND job.removed_at IS NULL
) AS asked
WHERE TRUE
ORDER BY scheduled_at, key
ON CONFLICT DO NOTHING
