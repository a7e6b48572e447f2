-- How the blocks that have runs of a status (empty: any) stand to a range of time, the newest
-- first: all their runs began within it (2), some did (1), none did (0). Neighbours are put
-- together by who asks: windows over all blocks took longer than to read them.
-- Parameters: since, until, since, until, status.
SELECT
    block,
    -- Not sums: PostgreSQL adds up large integers as decimal numbers.
    MIN(CASE WHEN oldest >= %s AND newest < %s THEN 1 ELSE 0 END)
    + MAX(CASE WHEN newest < %s OR oldest >= %s THEN 0 ELSE 1 END)
FROM runlog_logblock
WHERE status = %s AND block >= 0
GROUP BY block
ORDER BY block DESC
