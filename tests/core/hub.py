"""A model hub of our own on this machine, as much of it as a download needs."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SHA = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """`asked` collects "METHOD path" of every request."""

    def __init__(self, repositories: dict[str, Path], asked: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories, self.asked = repositories, asked


class Handler(BaseHTTPRequestHandler):
    """Answers listings of a repository, whole files and parts of files."""

    server: Hub

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(f"{self.command} {path}")
        if path.startswith("/api/models/"):
            self.listing(path.removeprefix("/api/models/").partition("/revision/")[0])
        else:
            name, _, rest = path[1:].partition("/resolve/")
            folder = self.server.repositories.get(name, Path("/nonexistent"))
            self.file(folder / rest.partition("/")[2])

    def listing(self, name: str) -> None:
        folder = self.server.repositories.get(name)
        if folder is None:
            self.reply(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            return
        siblings = [
            {"rfilename": str(file.relative_to(folder)), "size": file.stat().st_size}
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        ]
        plain = {"id": name, "modelId": name, "sha": SHA, "siblings": siblings}
        self.reply(200, json.dumps(plain).encode(), {"Content-Type": "application/json"})

    def file(self, path: Path) -> None:
        if not path.is_file():
            self.reply(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        raw = path.read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(raw).hexdigest()}"', "X-Repo-Commit": SHA}
        span = self.headers.get("Range", "").removeprefix("bytes=")
        if not span or self.command == "HEAD":
            self.reply(200, raw, headers)
            return
        start, _, end = span.partition("-")
        part = raw[int(start) : int(end or len(raw)) + 1]
        headers["Content-Range"] = f"bytes {start}-{int(start) + len(part) - 1}/{len(raw)}"
        self.reply(206, part, headers)

    def reply(self, status: int, raw: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(raw))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(raw)


@contextmanager
def serving(repositories: dict[str, Path], asked: list[str]) -> Iterator[str]:
    """The address of a hub that offers these folders, for as long as the block runs."""
    hub = Hub(repositories, asked)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{hub.server_port}"
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
