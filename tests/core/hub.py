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


@contextmanager
def serving(repositories: dict[str, Path], asked: list[str]) -> Iterator[str]:
    """The address of a hub that offers these folders; `asked` collects "METHOD path"."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(send=False)

        def do_GET(self) -> None:
            self.answer(send=True)

        def answer(self, send: bool) -> None:
            path = self.path.partition("?")[0]
            asked.append(f"{self.command} {path}")
            if path.startswith("/api/models/"):
                return self.listing(path.removeprefix("/api/models/").partition("/revision/")[0])
            name, _, rest = path[1:].partition("/resolve/")
            revision, _, file = rest.partition("/")
            return self.file(repositories.get(name, Path("/nonexistent")) / file, revision, send)

        def listing(self, name: str) -> None:
            if name not in repositories:
                return self.reply(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            files = [p for p in sorted(repositories[name].rglob("*")) if p.is_file()]
            siblings = [
                {"rfilename": str(p.relative_to(repositories[name])), "size": p.stat().st_size}
                for p in files
            ]
            plain = {"id": name, "modelId": name, "sha": SHA, "siblings": siblings}
            return self.reply(200, json.dumps(plain).encode(), {"Content-Type": "application/json"})

        def file(self, path: Path, revision: str, send: bool) -> None:
            if not path.is_file():
                return self.reply(404, b"", {"X-Error-Code": "EntryNotFound"})
            raw = path.read_bytes()
            etag = hashlib.sha256(raw).hexdigest()
            headers = {"ETag": f'"{etag}"', "X-Repo-Commit": SHA}
            span = self.headers.get("Range", "")
            if span and send:
                start, _, end = span.removeprefix("bytes=").partition("-")
                part = raw[int(start) : int(end or len(raw)) + 1]
                headers["Content-Range"] = f"bytes {start}-{int(start) + len(part) - 1}/{len(raw)}"
                return self.reply(206, part, headers)
            return self.reply(200, raw, headers, send)

        def reply(
            self, status: int, raw: bytes, headers: dict[str, str], send: bool = True
        ) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(raw))}.items():
                self.send_header(name, value)
            self.end_headers()
            if send and self.command == "GET":
                self.wfile.write(raw)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
