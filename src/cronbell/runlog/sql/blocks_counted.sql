-- How many runs of some statuses blocks have, of what is counted, by what each block is part of.
-- Rows: level, first block, last block, status, part of what. Parameters: rows.
SELECT part.status, rows.value ->> 4, CAST(SUM(part.runs) AS BIGINT)
FROM {blocks}
GROUP BY part.status, rows.value ->> 4
