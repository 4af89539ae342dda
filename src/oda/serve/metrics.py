"""For Prometheus: all that the page's pipeline shows. Nothing has a label by series, unless one is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from oda.query.feed import now_ms
from oda.query.positions import Position
from oda.serve.service import Service

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

MOST_SERIES = 100
"""That may be asked for at once."""


class _System(Collector):
    """Of the whole system, and of some series."""

    def __init__(self, service: Service, names: Sequence[str]) -> None:
        self._service = service
        self._names = names

    def collect(self) -> Iterator[Metric]:
        """Called by the registry."""
        yield from self._positions(self._service.positions.value or [])
        yield from self._members(self._service.members.value or [])
        yield from self._live()
        yield from self._topology()
        yield from self._audit()
        yield from self._series()

    def _positions(self, found: Sequence[Position]) -> Iterator[Metric]:
        late, now = self._service.live.series.late(), now_ms()
        saved = self._service.snapshots.value or {}
        of_partition: dict[str, tuple[str, Mapping[int, float | None]]] = {
            "end_offset": ("Where the log ends.", {one.partition: one.end for one in found}),
            "committed_offset": ("Up to where all is in the stores.", {one.partition: one.committed for one in found}),
            "lag_readings": ("Records that are not in the stores yet.", {one.partition: one.lag for one in found}),
            "lag_seconds": (
                "How long ago the first record came that is not in the stores yet; 0 if there is none.",
                {one.partition: one.lag_seconds for one in found},
            ),
            "readings_per_second": ("Of the last minute.", {one.partition: one.rate for one in found}),
            "commit_age_seconds": (
                "For how long nothing has been committed, though there is something to be.",
                {one.partition: one.commit_age_seconds for one in found},
            ),
            "snapshot_age_seconds": (
                "Since the newest snapshot; without new readings there is none.",
                {number: max(0.0, (now - at) / 1000) for number, at in saved.items()},
            ),
            "late_readings": ("Of the series that are known, since each began.", dict(late)),
        }
        for name, (text, values) in of_partition.items():
            yield _by_partition(f"oda_partition_{name}", text, values)

    @staticmethod
    def _members(found: Sequence[Position]) -> Iterator[Metric]:
        lag = {one.partition: one.lag for one in found}
        yield _by_partition("oda_members_lag_records", "What groups have not been told of their members yet.", lag)
        seconds = {one.partition: one.lag_seconds for one in found}
        yield _by_partition(
            "oda_members_lag_seconds", "How long ago the first of that came; 0 if there is none.", seconds
        )

    def _live(self) -> Iterator[Metric]:
        service = self._service
        yield GaugeMetricFamily("oda_series", "Series that are known.", len(service.live.series))
        rate = service.live.series.rate(now_ms())
        yield GaugeMetricFamily("oda_readings_per_second", "Readings of the last minute.", rate)
        incidents = GaugeMetricFamily("oda_open_incidents", "Incidents that are open.", labels=["severity"])
        for severity, count in (
            dict.fromkeys(("info", "warning", "critical"), 0) | service.live.incidents.counts()
        ).items():
            incidents.add_metric([severity], count)
        yield incidents
        suppressed = service.live.incidents.suppressed()
        yield GaugeMetricFamily("oda_suppressed_incidents", "Open ones that those of groups suppress.", suppressed)
        rejected = service.rejected.value
        if rejected is not None:
            yield GaugeMetricFamily("oda_rejected_messages", "Messages in the topic of rejected ones.", rejected.total)
            reasons = GaugeMetricFamily("oda_rejected_newest", "Of the newest rejected ones.", labels=["reason"])
            for reason, count in rejected.by_reason[:20]:
                reasons.add_metric([reason], count)
            yield reasons
        yield GaugeMetricFamily("oda_viewers", "Pages that are open.", len(service.hub.viewers))
        yield CounterMetricFamily("oda_viewer_gaps", "How often a viewer was too slow.", service.hub.all_dropped())
        yield GaugeMetricFamily(
            "oda_ready", "Whether the server sees all there is: see /ready.", not service.problems()
        )

    def _topology(self) -> Iterator[Metric]:
        found = self._service.storm.value if self._service.storm.problem is None else None
        yield GaugeMetricFamily("oda_storm_up", "Whether the Storm UI answers.", found is not None)
        if found is None:
            return
        yield GaugeMetricFamily("oda_topology_active", "Whether the topology runs.", found.state == "ACTIVE")
        executed = CounterMetricFamily("oda_component_executed", "Tuples since it was submitted.", labels=["component"])
        failed = CounterMetricFamily("oda_component_failed", "Tuples that failed.", labels=["component"])
        seconds = GaugeMetricFamily("oda_component_process_seconds", "Mean of a tuple.", labels=["component"])
        errors = GaugeMetricFamily(
            "oda_component_error", "Whether it told of an error in the last ten minutes.", labels=["component"]
        )
        for one in found.components:
            executed.add_metric([one.id], one.executed)
            failed.add_metric([one.id], one.failed)
            seconds.add_metric([one.id], one.process_ms / 1000)
            errors.add_metric([one.id], one.last_error is not None)
        yield from (executed, failed, seconds, errors)

    def _audit(self) -> Iterator[Metric]:
        audit = self._service.live.audit
        if audit is None:
            return
        yield GaugeMetricFamily("oda_audit_timestamp_seconds", "When the newest audit ended.", audit.at / 1000)
        yield GaugeMetricFamily("oda_audit_differences", "Rows that are wrong, of all audits.", audit.differences)
        yield GaugeMetricFamily("oda_audit_duration_seconds", "How long the newest audit took.", audit.seconds)
        yield GaugeMetricFamily("oda_audit_failed", "Whether the newest audit could not be done.", bool(audit.problem))
        offsets = GaugeMetricFamily("oda_audit_offset", "Up to where the log is audited.", labels=["partition"])
        for partition, offset in sorted(audit.offsets.items()):
            offsets.add_metric([str(partition)], offset)
        yield offsets

    def _series(self) -> Iterator[Metric]:
        if not self._names:
            return
        live, now = self._service.live, now_ms()
        value = GaugeMetricFamily("oda_series_value", "The newest reading.", labels=["series"])
        at = GaugeMetricFamily("oda_series_timestamp_seconds", "The newest reading's time.", labels=["series"])
        rate = GaugeMetricFamily("oda_series_readings_per_second", "Of the last minute.", labels=["series"])
        anomalies = CounterMetricFamily("oda_series_anomalies", "That are known.", labels=["series"])
        incidents = GaugeMetricFamily("oda_series_open_incidents", "Incidents that are open.", labels=["series"])
        for name in self._names:
            known = live.series.get(name, now)
            if known is None:
                continue
            if known.last_time is not None and known.last_value is not None:
                value.add_metric([name], known.last_value)
                at.add_metric([name], known.last_time / 1000)
            rate.add_metric([name], known.rate)
            anomalies.add_metric([name], known.anomalies)
            incidents.add_metric([name], live.incidents.by_series.get(name, 0))
        yield from (value, at, rate, anomalies, incidents)


def _by_partition(name: str, text: str, values: Mapping[int, float | None]) -> Metric:
    metric = GaugeMetricFamily(name, text, labels=["partition"])
    for number, value in sorted(values.items()):
        if value is not None:
            metric.add_metric([str(number)], value)
    return metric


def exposition(service: Service, names: Sequence[str]) -> bytes:
    """The text that Prometheus reads: the system's, the process's own, and that of some series by name."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_System(service, names))
    return generate_latest(registry)
