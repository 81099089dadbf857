"""The log of a run: one event a line, also after a line that was not finished."""

import json

from mammo_jax.provenance import log_event
from mammo_jax.run_folder import RunFolder


def test_an_event_after_half_a_line_has_a_line_of_its_own(tmp_path):
    run = RunFolder(tmp_path / "run")
    log_event(run, "start", job="Übung")
    with run.log.open("ab") as log:
        log.write(b'{"time": "2026')
    log_event(run, "protocol", sha256="0")
    log_event(run, "model")
    first, half, *rest = run.log.read_text(encoding="utf-8").splitlines()
    assert half == '{"time": "2026'
    assert [json.loads(line)["event"] for line in (first, *rest)] == ["start", "protocol", "model"]
