-- How many runs of some statuses blocks have, of what is counted, by what each block is part of.
-- Each row's are added up by themselves: grouped at once, SQLite read the row anew for each block.
-- Rows: level, first block, last block, status, part of what. Parameters: rows.
WITH found AS MATERIALIZED (
    SELECT
        rows.value ->> 3 AS status, rows.value ->> 4 AS part,
        (
            SELECT SUM(own.runs)
            FROM runlog_logblock AS own
            WHERE own.level = CAST(rows.value ->> 0 AS SMALLINT) AND own.status = rows.value ->> 3
              AND own.block BETWEEN CAST(rows.value ->> 1 AS BIGINT)
                  AND CAST(rows.value ->> 2 AS BIGINT)
        ) AS runs
    FROM {rows}
)
SELECT found.status, found.part, CAST(SUM(found.runs) AS BIGINT)
FROM found
WHERE found.runs IS NOT NULL
GROUP BY found.status, found.part
