"""Metrics that cost a dictionary's increment: for what happens with every call. Only ever touched by the loop, they
need no lock; Prometheus reads them from a thread of its own."""

from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import REGISTRY, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector


class Metered(Collector):
    """A metric with labels that is in the registry from when it is made."""

    def __init__(self, name: str, help_text: str, labels: Sequence[str]) -> None:
        self._name, self._help, self.label_names = name, help_text, labels
        REGISTRY.register(self)

    @abstractmethod
    def collect(self) -> Iterable[Metric]:
        """Returns what there is to say, for Prometheus."""


class Tally(Metered):
    """A counter."""

    def __init__(self, name: str, help_text: str, labels: Sequence[str]) -> None:
        self._counts: dict[tuple[str, ...], int] = {}
        super().__init__(name, help_text, labels)

    def add(self, *values: str) -> None:
        """Counts one, under these values of the labels."""
        self._counts[values] = self._counts.get(values, 0) + 1

    @property
    def counts(self) -> Mapping[tuple[str, ...], int]:
        """The counts by the labels' values."""
        return self._counts

    def collect(self) -> Iterable[Metric]:
        """See Metered."""
        family = CounterMetricFamily(self._name, self._help, labels=self.label_names)
        for values, count in list(self._counts.items()):
            family.add_metric(values, count)
        return [family]


class Level(Metered):
    """A gauge without labels that is counted up and down."""

    def __init__(self, name: str, help_text: str) -> None:
        self._value = 0
        super().__init__(name, help_text, ())

    def add(self, change: int) -> None:
        """Adds to the value."""
        self._value += change

    @property
    def value(self) -> int:
        """The value now."""
        return self._value

    def collect(self) -> Iterable[Metric]:
        """See Metered."""
        return [GaugeMetricFamily(self._name, self._help, value=self._value)]


class Durations(Metered):
    """A histogram of seconds, with these upper bounds of its buckets."""

    def __init__(self, name: str, help_text: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._seen: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}
        super().__init__(name, help_text, labels)

    def add(self, seconds: float, *values: str) -> None:
        """Counts one that took so long, under these values of the labels."""
        seen = self._seen.get(values)
        if seen is None:
            seen = self._seen[values] = ([0] * (len(self.bounds) + 1), [0.0])
        buckets, total = seen
        buckets[bisect_left(self.bounds, seconds)] += 1
        total[0] += seconds

    def collect(self) -> Iterable[Metric]:
        """See Metered."""
        family = HistogramMetricFamily(self._name, self._help, labels=self.label_names)
        ends = [*map(str, self.bounds), "+Inf"]
        for values, (buckets, total) in list(self._seen.items()):
            upto, cumulative = 0, []
            for end, count in zip(ends, buckets, strict=True):
                upto += count
                cumulative.append((end, float(upto)))
            family.add_metric(values, cumulative, total[0])
        return [family]
