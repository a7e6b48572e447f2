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
-- Members: job id, cursor read, key. Shared: cursor new, scheduled_at, status, reason, deadline_at,
--   missed_first_at, missed_count, available_at (later than due by jitter), overlap, ahead,
--   at most once, start, reason_data (what goes with a reason that the planner gives).
-- A fire that is not due yet ("early") is recorded only where it is clear that it runs: nothing of
-- its job goes on now that may have ended by then. It begins when it is due (runlog/early.py).
-- A job's fires line up by id; PostgreSQL, which joins a batch from whichever side it likes, is told
-- the order.
-- Parameters: batch, now, now (null: when it is due), now, owner, lease_expires_at, early.
WITH shared AS MATERIALIZED (
    SELECT
        -- only on sqlite {
        groups.key AS number,
        -- }
        -- only on postgresql {
        groups.value -> 0 AS members,
        -- }
        CAST(groups.value ->> 2 AS BIGINT) AS scheduled_at,
        groups.value ->> 3 AS status,
        groups.value ->> 4 AS reason,
        CAST(groups.value ->> 5 AS BIGINT) AS deadline_at,
        CAST(groups.value ->> 6 AS BIGINT) AS missed_first_at,
        CAST(groups.value ->> 7 AS BIGINT) AS missed_count,
        CAST(groups.value ->> 8 AS BIGINT) AS available_at,
        groups.value ->> 9 AS overlap,
        CAST(groups.value ->> 10 AS BIGINT) AS ahead,
        CAST(groups.value ->> 11 AS BOOLEAN) AS at_most_once,
        CAST(groups.value ->> 12 AS BOOLEAN) AS start,
        groups.value ->> 13 AS reason_data
    FROM {groups}
),
-- only on sqlite {
own (number, job_id, cursor_read, key) AS (VALUES {values:4}),
-- }
due AS MATERIALIZED (
    SELECT
        shared.scheduled_at, shared.status, shared.reason, shared.deadline_at,
        shared.missed_first_at, shared.missed_count, shared.available_at, shared.overlap,
        shared.ahead, shared.at_most_once, shared.start, shared.reason_data,
        job.id AS job_id,
        own.key,
        job.pause_reason,
        job.paused_by,
        job.paused_at <= shared.scheduled_at AS paused,
        job.removed_at,
        -- How many go on already; whether it is none, one or more is all that matters.
        CASE WHEN shared.status = 'pending' AND shared.overlap <> 'allow' THEN (
            SELECT COUNT(*) FROM (
                SELECT 1 FROM runlog_run AS going
                WHERE going.job_id = job.id AND going.status IN ('pending', 'running')
                  AND NOT going.gives_way
                LIMIT 2
            ) AS found
        ) ELSE 0 END AS going,
        shared.status = 'pending' AND shared.overlap <> 'allow' AND EXISTS (
            SELECT 1 FROM runlog_run AS filling
            WHERE filling.job_id = job.id AND filling.status IN ('pending', 'running')
              AND filling.status = 'running' AND filling.gives_way AND filling.waits
        ) AS behind
    -- CROSS: SQLite joins in the order written, the batch first.
    -- only on sqlite {
    FROM own CROSS JOIN shared CROSS JOIN runlog_job AS job
    WHERE shared.number = own.number AND
    -- }
    -- only on postgresql {
    FROM shared CROSS JOIN LATERAL (
        SELECT
            CAST(members.value ->> 0 AS BIGINT) AS job_id,
            CAST(members.value ->> 1 AS BIGINT) AS cursor_read,
            members.value ->> 2 AS key
        FROM {members}
    ) AS own CROSS JOIN runlog_job AS job
    WHERE
    -- }
        job.id = own.job_id AND job.cursor_at = own.cursor_read
),
decided AS (
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
        WHEN becomes = 'skipped' AND status <> 'skipped' THEN 'overlap'
        ELSE reason
    END,
    FALSE, FALSE,
    scheduled_at, CAST(%s AS BIGINT), available_at,
    CASE WHEN becomes = 'running' THEN COALESCE(CAST(%s AS BIGINT), available_at) END,
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
        WHEN becomes = 'skipped' AND paused
            THEN {object}('reason', pause_reason, 'by', paused_by)
        ELSE {json}(reason_data)
    END,
    ''
FROM decided
WHERE NOT CAST(%s AS BOOLEAN) OR (becomes = 'running' AND going = 0 AND removed_at IS NULL)
-- only on postgresql {
ORDER BY scheduled_at
-- }
ON CONFLICT DO NOTHING
