-- End the marked runs of this owner, which then drops their calls, and those whose runner died.
-- Before renew and rescue, in their transaction. Parameters: now, owner, now.
UPDATE runlog_run
SET status = 'cancelled', reason = 'cancelled', finished_at = %s, lease_expires_at = NULL,
    reason_data = {object}('by', cancelled_by, 'sent', TRUE)
WHERE status = 'running' AND cancel_requested_at IS NOT NULL
  AND (lease_owner = %s OR lease_expires_at < %s)
RETURNING id
