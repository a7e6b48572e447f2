-- The runs that record_fires has just made under this runner's lease, as one JSON text of (id, key).
-- Parameters: lease_expires_at, owner, the highest id before.
SELECT CAST({pairs} AS TEXT)
FROM runlog_run
WHERE status = 'running' AND lease_expires_at = %s AND lease_owner = %s AND id > %s
