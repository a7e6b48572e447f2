-- Take over a run that an endpoint of this application recorded and whose process died.
-- Parameters: owner, lease_expires_at, run id, owner.
UPDATE runlog_run
SET lease_owner = %s, lease_term = lease_term + 1, lease_expires_at = %s
WHERE id = %s AND status = 'running' AND by_endpoint AND lease_owner <> %s
RETURNING id, lease_term
