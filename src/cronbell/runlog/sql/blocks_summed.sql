-- How many runs of a status (empty: any) each of some blocks has, of what is counted.
-- Rows: level, first block, last block, status. Parameters: rows.
SELECT part.level, part.block, CAST(SUM(part.runs) AS BIGINT)
FROM {rows} CROSS JOIN
-- only on sqlite {
    runlog_logblock AS part
WHERE part.level = CAST(rows.value ->> 0 AS SMALLINT)
  AND part.status = rows.value ->> 3
  AND part.block BETWEEN CAST(rows.value ->> 1 AS BIGINT) AND CAST(rows.value ->> 2 AS BIGINT)
-- }
-- only on postgresql {
    -- Not looked behind an OFFSET: it would go over all blocks, not knowing how few are meant.
    LATERAL (
        SELECT * FROM runlog_logblock AS own
        WHERE own.level = CAST(rows.value ->> 0 AS SMALLINT)
          AND own.status = rows.value ->> 3
          AND own.block BETWEEN CAST(rows.value ->> 1 AS BIGINT) AND CAST(rows.value ->> 2 AS BIGINT)
        OFFSET 0
    ) AS part
-- }
GROUP BY part.level, part.block
