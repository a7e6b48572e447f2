-- What blocks have of any status, by week. Rows: level, first block, last block, first week, last
-- week. Parameters: rows.
SELECT part.block, part.week, part.runs, part.oldest, part.newest, part.first, part.last
FROM {rows} CROSS JOIN
-- only on sqlite {
    runlog_logblock AS part
WHERE part.level = CAST(rows.value ->> 0 AS SMALLINT)
  AND part.status = ''
  AND part.block BETWEEN CAST(rows.value ->> 1 AS BIGINT) AND CAST(rows.value ->> 2 AS BIGINT)
  AND part.week BETWEEN CAST(rows.value ->> 3 AS BIGINT) AND CAST(rows.value ->> 4 AS BIGINT)
-- }
-- only on postgresql {
    -- Not looked behind an OFFSET: it would go over all blocks, not knowing how few are meant.
    LATERAL (
        SELECT * FROM runlog_logblock AS own
        WHERE own.level = CAST(rows.value ->> 0 AS SMALLINT)
          AND own.status = ''
          AND own.block BETWEEN CAST(rows.value ->> 1 AS BIGINT) AND CAST(rows.value ->> 2 AS BIGINT)
          AND own.week BETWEEN CAST(rows.value ->> 3 AS BIGINT) AND CAST(rows.value ->> 4 AS BIGINT)
        OFFSET 0
    ) AS part
-- }
