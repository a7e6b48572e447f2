-- Keep the leases of what this owner has in hand; a run it has lost track of is left to be rescued.
-- Gives the ids that still are its own: a run that is missing was ended or taken by somebody else.
-- Rows: run id, term. Parameters: rows, owner, lease_expires_at.
WITH held AS MATERIALIZED (
    SELECT run.id
    FROM {rows} {run_locked}
    WHERE run.id = CAST(rows.value ->> 0 AS BIGINT)
      AND run.status = 'running'
      AND run.lease_owner = %s
      AND run.lease_term = CAST(rows.value ->> 1 AS BIGINT)
)
UPDATE runlog_run {by_id}
SET lease_expires_at = %s
WHERE id {among_held}
RETURNING id
