-- Record due fires: one row each, or one for a whole outage.
-- Only for jobs whose cursor still is where the planner read it: another runner that planned the
-- same fires in the meantime has moved it, and this statement then does nothing for that job.
-- The unique constraints (one run per job and instant; one per key) are the second guard.
-- A fire whose job has a run going on is skipped or waits, as the job's overlap says; "ahead" counts
-- the fires of the job that this batch records before it. Under cancel_running nothing goes on any
-- more (replace.sql), but for a call the endpoint recorded itself.
-- What a person asked for after the fact (gives_way) does not count while it waits; while it runs
-- the fire waits for its end, whatever the overlap, and goes before the rest of it.
-- A fire that came due since its job was paused is skipped with the pause's reason.
-- A fire that need not wait and that this runner has room for ("start") is born running, under its
-- lease: recorded and claimed in one commit.
-- Rows: job id, cursor read, cursor new, key, scheduled_at, status, reason, deadline_at,
--       missed_first_at, missed_count, available_at (later than due by jitter), overlap, ahead, at most once, start.
-- Parameters: rows, now, now, now, owner, lease_expires_at.
WITH due AS MATERIALIZED (
    SELECT
        job.id AS job_id,
        rows.value ->> 3 AS key,
        CAST(rows.value ->> 4 AS BIGINT) AS scheduled_at,
        rows.value ->> 5 AS status,
        rows.value ->> 6 AS reason,
        job.pause_reason,
        job.paused_at <= CAST(rows.value ->> 4 AS BIGINT) AS paused,
        CAST(rows.value ->> 7 AS BIGINT) AS deadline_at,
        CAST(rows.value ->> 8 AS BIGINT) AS missed_first_at,
        CAST(rows.value ->> 9 AS BIGINT) AS missed_count,
        CAST(rows.value ->> 10 AS BIGINT) AS available_at,
        rows.value ->> 11 AS overlap,
        CAST(rows.value ->> 12 AS BIGINT) AS ahead,
        CAST(rows.value ->> 13 AS BOOLEAN) AS at_most_once,
        CAST(rows.value ->> 14 AS BOOLEAN) AS start,
        -- How many go on already; whether it is none, one or more is all that matters.
        CASE WHEN rows.value ->> 5 = 'pending' AND rows.value ->> 11 <> 'allow' THEN (
            SELECT COUNT(*) FROM (
                SELECT 1 FROM runlog_run AS going
                WHERE going.job_id = job.id AND going.status IN ('pending', 'running')
                  AND NOT going.gives_way
                LIMIT 2
            ) AS found
        ) ELSE 0 END AS going,
        rows.value ->> 5 = 'pending' AND rows.value ->> 11 <> 'allow' AND EXISTS (
            SELECT 1 FROM runlog_run AS filling
            WHERE filling.job_id = job.id AND filling.status IN ('pending', 'running')
              AND filling.status = 'running' AND filling.gives_way AND filling.waits
        ) AS behind
    FROM {rows}
    JOIN runlog_job AS job
        ON job.id = CAST(rows.value ->> 0 AS BIGINT)
        AND job.cursor_at = CAST(rows.value ->> 1 AS BIGINT)
),
decided AS MATERIALIZED (
    SELECT
        due.*,
        behind OR (overlap IN ('queue_one', 'queue_all') AND going + ahead > 0) AS queued,
        CASE
            WHEN status = 'pending' AND paused THEN 'skipped'
            WHEN status = 'pending' AND overlap = 'skip' AND going + ahead > 0 THEN 'skipped'
            WHEN status = 'pending' AND overlap = 'queue_one' AND going + ahead > 1 THEN 'skipped'
            WHEN status = 'pending' AND start AND NOT behind
                AND NOT (overlap IN ('queue_one', 'queue_all') AND going + ahead > 0)
                THEN 'running'
            ELSE status
        END AS becomes
    FROM due
)
INSERT INTO runlog_run (
    job_id, key, kind, status, reason, dry_run, by_endpoint,
    scheduled_at, queued_at, available_at, started_at, finished_at, deadline_at,
    waits, at_most_once,
    attempt, lease_owner, lease_term, lease_expires_at, missed_first_at, missed_count,
    items_total, items_failed, actor, details, reason_data, body
)
SELECT
    job_id, key, 'schedule', becomes,
    CASE
        WHEN becomes = 'skipped' AND paused THEN 'paused'
        WHEN becomes = 'skipped' THEN 'overlap'
        ELSE reason
    END,
    FALSE, FALSE,
    scheduled_at, CAST(%s AS BIGINT), available_at,
    CASE WHEN becomes = 'running' THEN CAST(%s AS BIGINT) END,
    CASE WHEN becomes IN ('pending', 'running') THEN NULL ELSE CAST(%s AS BIGINT) END,
    deadline_at,
    becomes = 'pending' AND queued,
    at_most_once,
    1,
    CASE WHEN becomes = 'running' THEN %s ELSE '' END,
    CASE WHEN becomes = 'running' THEN 1 ELSE 0 END,
    CASE WHEN becomes = 'running' THEN CAST(%s AS BIGINT) END,
    missed_first_at, missed_count,
    0, 0, '', '',
    CASE
        WHEN becomes = 'skipped' AND paused THEN {object}('reason', pause_reason)
        ELSE '{}'
    END,
    ''
FROM decided
WHERE TRUE
ON CONFLICT DO NOTHING
RETURNING id, job_id, key, dry_run, scheduled_at, queued_at, deadline_at, attempt, lease_term,
    at_most_once
