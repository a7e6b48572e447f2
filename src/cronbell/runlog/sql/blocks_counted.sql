-- How many runs of each status these blocks have. Parameters: first block, last block.
SELECT status, CAST(SUM(runs) AS BIGINT)
FROM runlog_logblock
WHERE block BETWEEN %s AND %s
GROUP BY status
