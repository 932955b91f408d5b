from __future__ import annotations

from rlm_core.serve.instruments import Counter, Gauge, Histogram, text_of


def test_counters_are_told_by_their_labels() -> None:
    counter = Counter("a_total", "Things.", ("kind",))
    counter.add("x")
    counter.add("x", amount=1.5)
    counter.add('say "hi"\n\\')
    assert text_of([counter]) == (
        "# HELP a_total Things.\n# TYPE a_total counter\n"
        'a_total{kind="say \\"hi\\"\\n\\\\"} 1\na_total{kind="x"} 2.5\n'
    )


def test_a_histogram_has_buckets_that_hold_all_that_is_shorter() -> None:
    histogram = Histogram("s", "Seconds.", ("way",))
    for seconds in (0.01, 0.02, 400.0):
        histogram.see("x", seconds=seconds)
    lines = list(histogram.lines())
    assert 's_bucket{way="x",le="0.01"} 1' in lines
    assert 's_bucket{way="x",le="0.025"} 2' in lines
    assert 's_bucket{way="x",le="300"} 2' in lines
    assert 's_bucket{way="x",le="+Inf"} 3' in lines
    assert 's_sum{way="x"} 400.03' in lines
    assert 's_count{way="x"} 3' in lines


def test_a_gauge_is_asked_when_it_is_told() -> None:
    now = {"a": 1.0}
    gauge = Gauge("g", "Now.", "lane", lambda: now)
    now["a"] = 2.0
    assert list(gauge.lines())[-1] == 'g{lane="a"} 2'
    plain = Gauge("g", "Now.", "", lambda: {"": 3})
    assert list(plain.lines())[-1] == "g 3"
