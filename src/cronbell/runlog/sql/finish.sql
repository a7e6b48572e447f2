-- End runs. Only a running row whose lease (owner and term) is the caller's changes; the ids that
-- did are given back, so that a finish that came too late is noticed.
-- started_at stays the first attempt's where there were several (sent_at is set by their ends).
-- On PostgreSQL it is an UPDATE written as an insert that always meets its row: each row is found by
-- its id, whatever the statistics say. As UPDATE ... FROM, every running row was compared with the
-- whole batch. A row that is gone is not made anew, since there is nothing to read it from. What is
-- set is the same text for both stores: ``excluded`` is what is proposed for the row.
-- Members: id, term, started_at, finished_at. Shared: status, reason, reason_data, http_status,
--   details, body, items_total, items_failed. Parameters: batch, owner.
WITH shared AS MATERIALIZED (
    SELECT
        -- only on sqlite {
        groups.key AS number,
        -- }
        -- only on postgresql {
        groups.value -> 0 AS members,
        -- }
        groups.value ->> 1 AS status,
        groups.value ->> 2 AS reason,
        {json}(groups.value ->> 3) AS reason_data,
        CAST(groups.value ->> 4 AS BIGINT) AS http_status,
        groups.value ->> 5 AS details,
        groups.value ->> 6 AS body,
        CAST(groups.value ->> 7 AS BIGINT) AS items_total,
        CAST(groups.value ->> 8 AS BIGINT) AS items_failed
    FROM {groups}
),
-- only on sqlite {
own (number, id, lease_term, started_at, finished_at) AS (VALUES {values:5}),
-- }
batch AS MATERIALIZED (
    SELECT
        own.id, own.lease_term, own.started_at, own.finished_at,
        shared.status, shared.reason, shared.reason_data, shared.http_status,
        shared.details, shared.body, shared.items_total, shared.items_failed
    -- only on sqlite {
    FROM own CROSS JOIN shared
    WHERE shared.number = own.number
    -- }
    -- only on postgresql {
    FROM shared CROSS JOIN LATERAL (
        SELECT
            CAST(members.value ->> 0 AS BIGINT) AS id,
            CAST(members.value ->> 1 AS BIGINT) AS lease_term,
            CAST(members.value ->> 2 AS BIGINT) AS started_at,
            CAST(members.value ->> 3 AS BIGINT) AS finished_at
        FROM {members}
    ) AS own
    -- }
)
-- only on postgresql {
INSERT INTO runlog_run (
    id, job_id, key, kind, dry_run, by_endpoint,
    scheduled_at, queued_at, available_at, deadline_at, waits, at_most_once,
    attempt, lease_owner, lease_term, missed_count, actor,
    status, reason, reason_data, http_status, started_at, finished_at,
    details, body, items_total, items_failed
)
SELECT
    held.id, held.job_id, held.key, held.kind, held.dry_run, held.by_endpoint,
    held.scheduled_at, held.queued_at, held.available_at, held.deadline_at, held.waits,
    held.at_most_once, held.attempt, held.lease_owner, batch.lease_term, held.missed_count,
    held.actor,
    batch.status, batch.reason, batch.reason_data, batch.http_status,
    batch.started_at, batch.finished_at,
    batch.details, batch.body, batch.items_total, batch.items_failed
FROM batch CROSS JOIN LATERAL (
    SELECT * FROM runlog_run AS own WHERE own.id = batch.id OFFSET 0
) AS held
WHERE held.id = batch.id
ON CONFLICT (id) DO UPDATE
-- }
-- only on sqlite {
UPDATE runlog_run NOT INDEXED
-- }
SET status = excluded.status,
    reason = excluded.reason,
    reason_data = excluded.reason_data,
    http_status = excluded.http_status,
    started_at = CASE
        WHEN runlog_run.sent_at IS NULL THEN excluded.started_at ELSE runlog_run.started_at
    END,
    sent_at = excluded.started_at,
    finished_at = excluded.finished_at,
    details = excluded.details,
    body = excluded.body,
    items_total = excluded.items_total,
    items_failed = excluded.items_failed,
    lease_expires_at = NULL
-- only on sqlite {
FROM batch AS excluded
-- }
WHERE runlog_run.id = excluded.id
  AND runlog_run.status = 'running'
  AND runlog_run.lease_owner = %s
  AND runlog_run.lease_term = excluded.lease_term
RETURNING runlog_run.id
