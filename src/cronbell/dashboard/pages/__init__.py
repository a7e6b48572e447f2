"""One file per page: read the parameters, ask ``runlog.queries``, fill a template."""
