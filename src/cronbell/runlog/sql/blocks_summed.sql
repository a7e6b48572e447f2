-- How many runs of a status (empty: any) each of some blocks has, of what is counted.
-- Rows: level, first block, last block, status. Parameters: rows.
SELECT part.level, part.block, CAST(SUM(part.runs) AS BIGINT)
FROM {blocks}
GROUP BY part.level, part.block
