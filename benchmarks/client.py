"""A browser that does nothing but ask again, on connections that stay open, over loopback only.

It sends the same bytes and reads the answer by its length, so that it takes next to nothing of the
two cores that it shares with the server.
"""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

CSRF = "benchmarkbenchmarkbenchmarkbench"  # 32 letters: the cookie and the header agree


class Unexpected(Exception):
    """The server answered something else than the benchmark asked for."""


class Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, message: bytes, expected: int = 200) -> bytes:
        """The body of the answer, which must have the expected status."""
        self.socket.sendall(message)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._more()
        head, _gap, body = answer.partition(b"\r\n\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(headers[b"content-length"])
        while len(body) < length:
            body += self._more()
        if int(head.split(None, 2)[1]) != expected:
            raise Unexpected(f"{head.decode()}\n\n{body[:2000].decode(errors='replace')}")
        return body

    def _more(self) -> bytes:
        data = self.socket.recv(262144)
        if not data:
            raise Unexpected("the server closed the connection")
        return data

    def close(self) -> None:
        self.socket.close()


def get(path: str, cookies: Mapping[str, str]) -> bytes:
    return _message("GET", path, cookies, {}, b"")


def post(path: str, cookies: Mapping[str, str], form: Mapping[str, str]) -> bytes:
    body = urlencode(form).encode()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Length": str(len(body)),
        "X-CSRFToken": CSRF,
    }
    return _message("POST", path, cookies, headers, body)


def post_json(path: str, cookies: Mapping[str, str], body: str) -> bytes:
    """What the script of a page sends."""
    content = body.encode()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        "X-CSRFToken": CSRF,
        "X-Requested-With": "fetch",
    }
    return _message("POST", path, cookies, headers, content)


def _message(
    method: str, path: str, cookies: Mapping[str, str], headers: Mapping[str, str], body: bytes
) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        "Cookie: " + "; ".join(f"{name}={value}" for name, value in cookies.items()),
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def latency(
    port: int, message: Callable[[], bytes], *, seconds: float, expected: int = 200
) -> float:
    """Median milliseconds of requests that one client sends one after the other."""
    connection = Connection(port)
    times = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 5:
        sent = message()
        started = time.perf_counter()
        connection.send(sent, expected)
        times.append(time.perf_counter() - started)
    connection.close()
    return 1000 * statistics.median(times)


def rate(
    port: int,
    message: Callable[[], bytes],
    *,
    seconds: float,
    clients: int = 4,
    expected: int = 200,
) -> float:
    """Requests a second that so many clients get answered at once."""
    counts, failures = [0] * clients, []
    until = time.perf_counter() + seconds

    def ask(number: int) -> None:
        try:
            connection = Connection(port)
            while time.perf_counter() < until:
                connection.send(message(), expected)
                counts[number] += 1
            connection.close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=ask, args=[number]) for number in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sum(counts) / (time.perf_counter() - started)
