"""One self-contained HTML report from a run folder."""
