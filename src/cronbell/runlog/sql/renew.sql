-- Keep the leases of what this owner has in hand; a run it has lost track of is left to be rescued.
-- Gives the ids that still are its own: a run that is missing was ended or taken by somebody else.
-- Rows: run id, term. Parameters: lease_expires_at, rows, owner.
UPDATE runlog_run {by_id}
SET lease_expires_at = %s
FROM {rows}
WHERE runlog_run.id = CAST(rows.value ->> 0 AS BIGINT)
  AND runlog_run.status = 'running'
  AND runlog_run.lease_owner = %s
  AND runlog_run.lease_term = CAST(rows.value ->> 1 AS BIGINT)
RETURNING runlog_run.id
