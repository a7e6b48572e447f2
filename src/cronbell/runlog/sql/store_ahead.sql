-- How far the store's clock is ahead of the caller's, in microseconds. Parameters: the caller's now.
SELECT {now} - CAST(%s AS BIGINT)
