-- How many runs of some statuses blocks have, of what is counted. Rows: level, first block, last
-- block, status. Parameters: rows.
SELECT part.status, CAST(SUM(part.runs) AS BIGINT)
FROM {blocks}
GROUP BY part.status
