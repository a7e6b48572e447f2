-- The blocks with runs that were left: their numbers and instants are not all known.
-- Parameters: ids in a block.
SELECT DISTINCT run_id / CAST(%s AS BIGINT) FROM runlog_rollupleft
