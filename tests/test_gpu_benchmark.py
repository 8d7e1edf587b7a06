"""The benchmark of a GPU runs to its end on a CPU, in small, and goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import gpu


def test_it_prints_every_section_and_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "gpu.json"
    sections = ["--section", "kernels", "--section", "launches", "--section", "search"]
    arguments = ["gpu", "--device", "cpu", "--out", str(out), *sections]
    monkeypatch.setattr("sys.argv", arguments)
    gpu.main()
    assert set(json.loads(out.read_text())) == {"of", "kernels", "launches", "search"}
    first = capsys.readouterr().out
    assert "| darts |" in first and "| eigenvalues |" in first
    assert "evaluations/s" in first

    def again(how: gpu.Sizes) -> gpu.Table:
        raise AssertionError("it was measured before")

    monkeypatch.setitem(gpu.SECTIONS, "kernels", again)
    monkeypatch.setitem(gpu.SECTIONS, "launches", again)
    monkeypatch.setitem(gpu.SECTIONS, "search", again)
    gpu.main()
    assert capsys.readouterr().out == first


@pytest.mark.slow
def test_all_sections_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["gpu", "--device", "cpu", "--out", str(tmp_path / "gpu.json")])
    gpu.main()
    printed = capsys.readouterr().out
    for section in gpu.SECTIONS:
        assert f"\n{section}, " in printed
    assert "lost" not in printed
    assert "out of memory" not in printed
