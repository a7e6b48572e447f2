-- End runs. Only a running row whose lease (owner and term) is the caller's changes; the ids that
-- did are given back, so that a finish that came too late is noticed.
-- started_at stays the first attempt's where there were several (sent_at is set by their ends).
-- Members: id, term, started_at, finished_at. Shared: status, reason, reason_data, http_status,
--   details, body, items_total, items_failed. Parameters: groups, owner.
WITH shared AS MATERIALIZED (
    SELECT
        groups.value -> 0 AS members,
        groups.value ->> 1 AS status,
        groups.value ->> 2 AS reason,
        groups.value ->> 3 AS reason_data,
        CAST(groups.value ->> 4 AS BIGINT) AS http_status,
        groups.value ->> 5 AS details,
        groups.value ->> 6 AS body,
        CAST(groups.value ->> 7 AS BIGINT) AS items_total,
        CAST(groups.value ->> 8 AS BIGINT) AS items_failed
    FROM {groups}
),
batch AS MATERIALIZED (
    SELECT
        CAST(members.value ->> 0 AS BIGINT) AS id,
        CAST(members.value ->> 1 AS BIGINT) AS term,
        CAST(members.value ->> 2 AS BIGINT) AS started_at,
        CAST(members.value ->> 3 AS BIGINT) AS finished_at,
        shared.status, shared.reason, shared.reason_data, shared.http_status,
        shared.details, shared.body, shared.items_total, shared.items_failed
    FROM shared CROSS JOIN {members}
)
UPDATE runlog_run {by_id}
SET status = batch.status,
    reason = batch.reason,
    reason_data = {json}(batch.reason_data),
    http_status = batch.http_status,
    started_at = CASE WHEN sent_at IS NULL THEN batch.started_at ELSE runlog_run.started_at END,
    sent_at = batch.started_at,
    finished_at = batch.finished_at,
    details = batch.details,
    body = batch.body,
    items_total = batch.items_total,
    items_failed = batch.items_failed,
    lease_expires_at = NULL
FROM batch
WHERE runlog_run.id = batch.id
  AND runlog_run.status = 'running'
  AND runlog_run.lease_owner = %s
  AND runlog_run.lease_term = batch.term
RETURNING runlog_run.id
