-- The blocks that may have a run that began within a range of time, and whether all of theirs did.
-- Parameters: since, until, since, until.
SELECT block, MIN(oldest) >= %s AND MAX(newest) < %s
FROM runlog_logblock
GROUP BY block
HAVING MAX(newest) >= %s AND MIN(oldest) < %s
