-- Ask for a run by hand. One row per key, so that a double click makes one run; where a run of
-- the job is going on already, the row is skipped or waits, as the job's overlap says.
-- A replay or backfill counts as in record_fires. Parameters: overlap, job name, key, kind, dry_run,
-- now ×4, deadline, at most once, actor, parameters as the text of a JSON object.
WITH asked AS (
    SELECT
        job.id AS job_id,
        %s AS overlap,
        (
            SELECT COUNT(*) FROM (
                SELECT 1 FROM runlog_run AS active
                WHERE active.job_id = job.id AND active.status IN ('pending', 'running')
                  AND NOT active.gives_way
                LIMIT 2
            ) AS found
        ) AS going,
        EXISTS (
            SELECT 1 FROM runlog_run AS filling
            WHERE filling.job_id = job.id AND filling.status IN ('pending', 'running')
              AND filling.status = 'running' AND filling.gives_way AND filling.waits
        ) AS behind
    FROM runlog_job AS job
    WHERE job.name = %s AND job.removed_at IS NULL
),
decided AS (
    SELECT
        job_id,
        CASE
            WHEN overlap = 'skip' AND going > 0 THEN 'skipped'
            WHEN overlap = 'queue_one' AND going > 1 THEN 'skipped'
            ELSE 'pending'
        END AS status,
        (behind AND overlap <> 'allow')
            OR (overlap IN ('queue_one', 'queue_all') AND going > 0) AS waits
    FROM asked
)
INSERT INTO runlog_run (
    job_id, key, kind, status, reason, dry_run, by_endpoint,
    scheduled_at, queued_at, available_at, finished_at, deadline_at, waits, at_most_once,
    attempt, lease_owner, lease_term, missed_count,
    items_total, items_failed, actor, parameters, details, reason_data, body
)
SELECT
    job_id, %s, %s, status,
    CASE WHEN status = 'pending' THEN '' ELSE 'overlap' END,
    CAST(%s AS BOOLEAN), FALSE,
    CAST(%s AS BIGINT), CAST(%s AS BIGINT), CAST(%s AS BIGINT),
    CASE WHEN status = 'pending' THEN NULL ELSE CAST(%s AS BIGINT) END,
    CAST(%s AS BIGINT), waits AND status = 'pending', CAST(%s AS BOOLEAN),
    1, '', 0, 0, 0, 0, %s, {json}(CAST(%s AS TEXT)), '', '{}', ''
FROM decided
WHERE TRUE
ON CONFLICT (key) DO NOTHING
