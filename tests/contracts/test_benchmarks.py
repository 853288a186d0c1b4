"""Published times are those of the raw samples."""

import dataclasses

import pytest

from benchmarks.report import RESULTS, Report, Row, quantile, spread, table
from benchmarks.run import README, with_tables
from benchmarks.turns import Samples

REPORT = Report(
    "sample",
    "a machine",
    {"torch": "2.13.0"},
    {"tokens": "1 × 64"},
    (
        Row("1 thread", "plain", (200.0, 210.0, 220.0), (300.0, 310.0, 320.0)),
        Row("1 thread", "ours", (204.0, 205.0, 206.0), (), "plain", "≤ 1.03"),
    ),
)


def test_the_tables_in_the_readme_are_those_of_the_samples():
    text = README.read_text(encoding="utf-8")
    assert with_tables(text) == text
    assert with_tables(text.replace("Times in ms", "Times in years")) == text


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_result_is_in_the_readme(path):
    assert table(Report.open(path)) in README.read_text(encoding="utf-8")


def test_a_ratio_compares_smallest_processor_times():
    assert "1.020 × plain" in table(REPORT)
    other = dataclasses.replace(REPORT.rows[0], cpu_ms=(100.0, 300.0))
    assert "2.040 × plain" in table(dataclasses.replace(REPORT, rows=(other, REPORT.rows[1])))


def test_a_report_is_read_back_as_it_was_saved(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.report.RESULTS", tmp_path)
    assert Report.open(REPORT.save()) == REPORT


def test_wall_times_are_refused_when_busy_or_scattered():
    steady, scattered = Samples([], [100.0, 101.0, 103.0]), Samples([], [100.0, 120.0, 150.0])
    assert steady.steady_wall(quiet=True) == (100.0, 101.0, 103.0)
    assert steady.steady_wall(quiet=False) == ()
    assert scattered.steady_wall(quiet=True) == ()
    assert spread([100.0, 120.0, 150.0]) == pytest.approx(0.2)


def test_a_quantile_is_a_sample_that_enough_samples_do_not_exceed():
    samples = [float(i) for i in range(1, 101)]
    assert quantile(samples, 0.95) == 95.0
    assert quantile(samples, 0.50) == 50.0
    assert quantile([3.0, 1.0, 2.0], 0.95) == 3.0
