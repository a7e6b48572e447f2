-- Jobs by name, each with its newest run of some statuses, dry runs left out: one step into the
-- index of a job's ended runs for each.
-- Parameters: status ×6, first job id, last job id, whether removed ones too, pattern ×2, limit.
SELECT
    job.*,
    (
        SELECT MAX(run.id) FROM runlog_run AS run
        WHERE run.job_id = job.id AND run.status = %s AND run.finished_at IS NOT NULL
          AND NOT run.dry_run
    ) AS newest_0,
    (
        SELECT MAX(run.id) FROM runlog_run AS run
        WHERE run.job_id = job.id AND run.status = %s AND run.finished_at IS NOT NULL
          AND NOT run.dry_run
    ) AS newest_1,
    (
        SELECT MAX(run.id) FROM runlog_run AS run
        WHERE run.job_id = job.id AND run.status = %s AND run.finished_at IS NOT NULL
          AND NOT run.dry_run
    ) AS newest_2,
    (
        SELECT MAX(run.id) FROM runlog_run AS run
        WHERE run.job_id = job.id AND run.status = %s AND run.finished_at IS NOT NULL
          AND NOT run.dry_run
    ) AS newest_3,
    (
        SELECT MAX(run.id) FROM runlog_run AS run
        WHERE run.job_id = job.id AND run.status = %s AND run.finished_at IS NOT NULL
          AND NOT run.dry_run
    ) AS newest_4,
    (
        SELECT MAX(run.id) FROM runlog_run AS run
        WHERE run.job_id = job.id AND run.status = %s AND run.finished_at IS NOT NULL
          AND NOT run.dry_run
    ) AS newest_5
FROM runlog_job AS job
WHERE job.id BETWEEN %s AND %s AND (job.removed_at IS NULL OR %s)
  AND (UPPER(job.name) LIKE UPPER(%s) ESCAPE '\' OR UPPER(job.path) LIKE UPPER(%s) ESCAPE '\')
ORDER BY job.name
LIMIT %s
