-- Jobs in the order of their ids, a page at a time: a hundred thousand definitions are never in
-- memory all at once. Removed ones too: their names are taken.
-- Parameters: id before the page, limit.
SELECT id, name, cursor_at, removed_at IS NULL, CAST(spec AS TEXT)
FROM runlog_job
WHERE id > %s
ORDER BY id
LIMIT %s
