"""The notebook runs from the first cell to the last, and shows what it promises."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "docs" / "first-hour.ipynb"


def test_the_notebook_runs(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells), "it is stored without outputs"
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [kind for cell in cells for output in cell.outputs for kind in output.get("data", {})]
    assert shown.count("image/png") == 2
    assert shown.count("text/html") == 3  # the study, its metrics, the finished model
    texts = "".join(output.get("text", "") for cell in cells for output in cell.outputs)
    assert "266240 bytes became 665 = 665" in texts
    assert "Cannot tell how much compression" in texts
    assert (tmp_path / "runs" / "notebook" / "report.html").exists()
    assert (tmp_path / "runs" / "frozen" / "report.html").exists()
