-- How many runs of each status that began within a range of time these blocks have, of what is
-- counted. Parameters: first block, last block, since, until.
SELECT status, CAST(SUM(runs) AS BIGINT)
FROM runlog_logblock
WHERE status <> '' AND block BETWEEN %s AND %s AND oldest >= %s AND newest < %s
GROUP BY status
