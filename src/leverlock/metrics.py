"""Metrics: what is counted, under which labels, and the page that shows it on a port of its own.

Labels come from closed lists (the action table, the reasons, the routes), never from what somebody sent: no account,
key, login, address or code can turn up in a time series.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from leverlock.domain.audit import EventKind

REGISTRY: Final = CollectorRegistry()
ALARMS: Final = (EventKind.SEAL_BROKEN.value,)

DECISIONS: Final = Counter(
    "leverlock_decisions", "Decisions about actions.", ["outcome", "why", "action"], registry=REGISTRY
)
CHALLENGES: Final = Counter(
    "leverlock_challenges", "Challenges that entered a state through this process.", ["state"], registry=REGISTRY
)
ANSWERS: Final = Counter("leverlock_answers", "Answers to challenges, by outcome.", ["outcome"], registry=REGISTRY)
REQUESTS: Final = Histogram(
    "leverlock_http_request_seconds",
    "Answered HTTP requests and how long they took.",
    ["door", "method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0),
    registry=REGISTRY,
)
BATCH: Final = Gauge(
    "leverlock_store_batch_size", "Mean number of use cases in one commit since the start.", registry=REGISTRY
)
CLOCK_BEHIND: Final = Gauge(
    "leverlock_clock_behind_seconds",
    "How far the clock is behind what the database has seen, while nothing is verified because of it; else 0.",
    registry=REGISTRY,
)

App = Callable[[dict[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


class StoreCounts:
    """Reads the store's own counters when the page is asked for, so that counting costs the writer nothing."""

    def __init__(self, counted: Any) -> None:
        self._counted = counted

    def collect(self) -> Iterable[Metric]:
        yield CounterMetricFamily("leverlock_store_commits", "Durable commits.", value=self._counted.commits)
        yield CounterMetricFamily(
            "leverlock_store_use_cases", "Use cases made durable by them.", value=self._counted.committed
        )
        alarms = CounterMetricFamily(
            "leverlock_alarms",
            "Records that somebody has to look into, such as a seal that is broken.",
            labels=["kind"],
        )
        for kind in ALARMS:
            alarms.add_metric([kind], self._counted.alarms[kind])
        yield alarms


def watch_store(store: Any) -> None:
    """Show `store.commits` and `store.committed`, and their ratio: the size of a batch."""
    REGISTRY.register(StoreCounts(store))
    BATCH.set_function(lambda: store.committed / store.commits if store.commits else 0.0)


def create_metrics_app() -> App:
    """The ASGI application of the metrics port: `GET /metrics` and nothing else. Unauthenticated: bind it privately."""

    async def app(scope: dict[str, Any], receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["type"] == "lifespan":
            await answer_lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        status, body, kind = 404, b"", b"text/plain"
        if scope["path"] == "/metrics" and scope["method"] in ("GET", "HEAD"):
            accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
            if b"application/openmetrics-text" in accept:
                status, kind = 200, OPENMETRICS.encode()
                body = generate_openmetrics(REGISTRY)  # type: ignore[no-untyped-call]
            else:
                status, kind = 200, b"text/plain; version=0.0.4; charset=utf-8"
                body = generate_latest(REGISTRY)
        headers = [
            (b"content-type", kind),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return app


async def answer_lifespan(receive: Any, send: Any) -> None:
    """The ASGI lifespan of an application that has nothing to start or stop itself."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return
