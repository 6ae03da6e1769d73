"""What /metrics shows, by vLLM's names where vLLM has one.

Counters are plain integers and histograms plain lists: a token must cost no lock. They become
Prometheus's families only when somebody asks.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from farthing.engine.types import Counters
from farthing.usage import CLASSES

FIRST = (0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80)
BETWEEN = (0.002, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5)
WHOLE = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960)
NANO = 1e9


class Histogram:
    """Counts of seconds by bucket."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> list[tuple[str, float]]:
        names = [*map(str, self.bounds), "+Inf"]
        return [(n, float(c)) for n, c in zip(names, accumulate(self.counts), strict=True)]


class Metrics(Collector):
    def __init__(self, model: str) -> None:
        self.model = model
        self.nanodollars = [0] * len(CLASSES)
        self.finished = Counter[str]()
        self.engine_restarts = 0
        self.first_token = Histogram(FIRST)
        self.between_tokens = Histogram(BETWEEN)
        self.per_token = Histogram(BETWEEN)
        self.whole = Histogram(WHOLE)
        self.counters = Counters()
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)

    def bill(self, nanodollars: list[int]) -> None:
        """Called once a request, when its bill is written; by class."""
        for place, money in enumerate(nanodollars):
            self.nanodollars[place] += money

    def text(self, counters: Counters) -> bytes:
        self.counters = counters
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        yield from self._gauges()
        yield from self._counters()
        yield from self._labelled()
        yield from self._histograms()

    def _gauges(self) -> Iterator[Metric]:
        now = self.counters
        for name, help, value in (
            ("vllm:num_requests_running", "Sequences in the batch.", now.running),
            ("vllm:num_requests_waiting", "Sequences waiting for room.", now.waiting),
            (
                "vllm:kv_cache_usage_perc",
                "Share of KV pages in use, 0 to 1.",
                now.pages_used / max(1, now.pages),
            ),
        ):
            yield self._with(GaugeMetricFamily(name, help, labels=["model_name"]), value)

    def _counters(self) -> Iterator[Metric]:
        now = self.counters
        for name, help, value in (
            ("vllm:prompt_tokens", "Prompt tokens, cached ones included.", now.prompt_tokens),
            ("vllm:generation_tokens", "Tokens generated.", now.completion_tokens),
            ("vllm:num_preemptions", "Sequences set back to make room.", now.preemptions),
            ("vllm:prefix_cache_queries", "Prompt tokens looked up.", now.prompt_tokens),
            ("vllm:prefix_cache_hits", "Prompt tokens found.", now.cached_tokens),
            ("farthing_engine_busy_seconds", "Engine time in steps.", now.busy / NANO),
            ("farthing_engine_idle_seconds", "Engine time waiting for work.", now.idle / NANO),
            ("farthing_engine_load_seconds", "Engine time loading.", now.load / NANO),
            ("farthing_engine_restarts", "Engine processes that died.", self.engine_restarts),
        ):
            yield self._with(CounterMetricFamily(name, help, labels=["model_name"]), value)

    def _with(self, family: "GaugeMetricFamily | CounterMetricFamily", value: float) -> Metric:
        family.add_metric([self.model], value)
        return family

    def _labelled(self) -> Iterator[Metric]:
        done = CounterMetricFamily(
            "vllm:request_success",
            "Answers ended, by reason.",
            labels=["model_name", "finished_reason"],
        )
        for reason in sorted({"stop", "length", "abort", *self.finished}):
            done.add_metric([self.model, reason], self.finished[reason])
        cost = CounterMetricFamily(
            "farthing_cost_dollars", "Dollars billed.", labels=["model_name", "class"]
        )
        for name, money in zip(CLASSES, self.nanodollars, strict=True):
            cost.add_metric([self.model, name], money / NANO)
        yield done
        yield cost

    def _histograms(self) -> Iterator[Metric]:
        for name, help, histogram in (
            ("vllm:time_to_first_token_seconds", "Request to first token.", self.first_token),
            ("vllm:inter_token_latency_seconds", "Between tokens.", self.between_tokens),
            (
                "vllm:request_time_per_output_token_seconds",
                "Mean time between the tokens of an answer.",
                self.per_token,
            ),
            ("vllm:e2e_request_latency_seconds", "Request to end of answer.", self.whole),
        ):
            family = HistogramMetricFamily(name, help, labels=["model_name"])
            family.add_metric([self.model], histogram.buckets(), histogram.sum)
            yield family
