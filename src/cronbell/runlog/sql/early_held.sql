-- How many runs a lease still holds that is one batch's of runs recorded early for one instant. What
-- else was claimed in the same microsecond, or tick of a coarse clock, is another instant's.
-- Parameters: lease_expires_at, owner, instant.
SELECT COUNT(*)
FROM runlog_run
WHERE status = 'running' AND lease_expires_at = %s AND lease_owner = %s AND scheduled_at = %s
