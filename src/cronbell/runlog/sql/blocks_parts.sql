-- What blocks have of any status, by week. Rows: level, first block, last block, first week, last
-- week. Parameters: rows.
WITH wanted AS MATERIALIZED (
    -- Read once: SQLite would read a row anew for each block.
    SELECT
        CAST(rows.value ->> 0 AS SMALLINT) AS level,
        CAST(rows.value ->> 1 AS BIGINT) AS first_block,
        CAST(rows.value ->> 2 AS BIGINT) AS last_block,
        CAST(rows.value ->> 3 AS BIGINT) AS first_week, CAST(rows.value ->> 4 AS BIGINT) AS last_week
    FROM {rows}
)
SELECT part.block, part.week, part.runs, part.oldest, part.newest, part.first, part.last
FROM wanted CROSS JOIN
-- only on sqlite {
    runlog_logblock AS part
WHERE part.level = wanted.level AND part.status = ''
  AND part.block BETWEEN wanted.first_block AND wanted.last_block
  AND part.week BETWEEN wanted.first_week AND wanted.last_week
-- }
-- only on postgresql {
    -- Not looked behind an OFFSET: it would go over all blocks, not knowing how few are meant.
    LATERAL (
        SELECT * FROM runlog_logblock AS own
        WHERE own.level = wanted.level AND own.status = ''
          AND own.block BETWEEN wanted.first_block AND wanted.last_block
          AND own.week BETWEEN wanted.first_week AND wanted.last_week
        OFFSET 0
    ) AS part
-- }
