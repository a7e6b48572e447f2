-- What blocks have of any status, by week. Rows: level, first block, last block, week (null: each).
-- Parameters: rows.
SELECT part.block, part.week, part.runs, part.oldest, part.newest, part.first, part.last
FROM {rows} CROSS JOIN
-- only on sqlite {
    runlog_logblock AS part
-- }
-- only on postgresql {
    -- Not looked behind an OFFSET: it would go over all blocks, not knowing how few are meant.
    LATERAL (
        SELECT * FROM runlog_logblock AS own
        WHERE own.level = CAST(rows.value ->> 0 AS SMALLINT)
          AND own.block BETWEEN CAST(rows.value ->> 1 AS BIGINT)
            AND CAST(rows.value ->> 2 AS BIGINT)
        OFFSET 0
    ) AS part
-- }
WHERE part.level = CAST(rows.value ->> 0 AS SMALLINT)
  AND part.block BETWEEN CAST(rows.value ->> 1 AS BIGINT) AND CAST(rows.value ->> 2 AS BIGINT)
  AND part.status = ''
  AND (rows.value ->> 3 IS NULL OR part.week = CAST(rows.value ->> 3 AS BIGINT))
