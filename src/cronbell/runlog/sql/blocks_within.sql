-- Where runs of a status (empty: any) are that began within a range of time: the first and the last
-- of neighbouring blocks of which all did (2) or some did (1), with their ranks among the blocks
-- that have runs of the status. Blocks without are passed over; ranks say whether one with runs
-- that did not stands between.
-- Parameters: since, until, since, until, status.
WITH marked AS (
    SELECT
        block,
        -- Not sums: PostgreSQL adds up large integers as decimal numbers.
        MIN(CASE WHEN oldest >= %s AND newest < %s THEN 1 ELSE 0 END)
        + MAX(CASE WHEN newest < %s OR oldest >= %s THEN 0 ELSE 1 END) AS kind
    FROM runlog_logblock
    WHERE status = %s AND block >= 0
    GROUP BY block
),
ranked AS (
    SELECT
        block, kind, ROW_NUMBER() OVER (ORDER BY block) AS place,
        COALESCE(LAG(kind) OVER (ORDER BY block), 0) AS older,
        COALESCE(LEAD(kind) OVER (ORDER BY block), 0) AS newer
    FROM marked
)
SELECT
    kind, block, place, CASE WHEN older <> kind THEN 1 ELSE 0 END,
    CASE WHEN newer <> kind THEN 1 ELSE 0 END
FROM ranked
WHERE kind > 0 AND (older <> kind OR newer <> kind)
ORDER BY block DESC
