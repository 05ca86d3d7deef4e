"""The benchmark measures what it says: real verifications, right answers only, gaps shown as gaps."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import islice
from pathlib import Path

import pytest
from bench import product
from bench.figures import Figure, markdown, printed
from bench.load import Job, WrongAnswer, put, request
from bench.population import Deployment, answers, populate


class Half(BaseHTTPRequestHandler):
    """Answers 200 to `/good`, 404 to anything else; keeps connections."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/good" else 404)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Half)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join(10)
    server.server_close()


def test_the_load_counts_every_answer(port: int) -> None:
    taken = put(Job(port, 1, [request("GET", "/good")] * 50))
    assert len(taken.milliseconds) == 50
    assert taken.statuses == {200: 50}
    assert taken.rate > 0
    assert taken.percentile(0.5) <= taken.percentile(0.99)


def test_one_wrong_answer_spoils_the_run(port: int) -> None:
    with pytest.raises(WrongAnswer, match="404"):
        put(Job(port, 1, [request("GET", "/good")] * 5 + [request("GET", "/bad")]))


def test_a_gap_is_shown() -> None:
    figures = [
        Figure("P2", "missed", 1, "/s", {"floor": 10}, ">= 0.4 x the floor", False, 0.1),
        Figure("P2", "met", 5, "/s", {"floor": 10}, ">= 0.4 x the floor", True, 0.5),
        Figure("P2", "peer not there", float("nan"), "x", {}, ">= 100 x"),
        Figure("P2", "no goal", 5, "us"),
    ]
    table = markdown(figures).splitlines()[2:]
    assert [line.split("|")[-2].strip() for line in table] == ["**gap**", "reached", "not judged", ""]
    assert "not measured" in table[2]
    assert next(line for line in printed(figures).splitlines() if "GAP" in line).startswith("P2  missed")


def test_it_drives_real_verifications(tmp_path: Path) -> None:
    folder = tmp_path / "deployment"
    Deployment.create(folder)
    codes = list(islice(answers(populate(folder, owners=6, challenges=1)), 5))
    with product.serving(folder, log=tmp_path / "log") as server:
        port = product.port_of(server, "api")
        assert put(Job(port, 2, codes, warm=request("GET", "/healthz"))).statuses == {200: 5}
        with pytest.raises(WrongAnswer, match="409"):  # each approved its challenge, once
            put(Job(port, 2, codes))
