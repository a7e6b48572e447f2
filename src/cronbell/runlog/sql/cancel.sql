-- A person ends a run: at once where it is pending, else it is marked for its runner. What an
-- endpoint recorded itself is nobody's to end. Parameters: now, actor, now, actor, run id.
UPDATE runlog_run
SET status = CASE WHEN status = 'pending' THEN 'cancelled' ELSE status END,
    reason = CASE WHEN status = 'pending' THEN 'cancelled' ELSE reason END,
    finished_at = CASE WHEN status = 'pending' THEN CAST(%s AS BIGINT) ELSE NULL END,
    reason_data = CASE
        WHEN status = 'pending' THEN {object}('by', CAST(%s AS TEXT)) ELSE reason_data
    END,
    cancel_requested_at = COALESCE(cancel_requested_at, %s),
    cancelled_by = CASE WHEN cancel_requested_at IS NULL THEN %s ELSE cancelled_by END
WHERE id = %s AND status IN ('pending', 'running') AND NOT by_endpoint
RETURNING id
