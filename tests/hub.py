"""A small Hugging Face hub on this machine: what `huggingface_hub` asks, answered from a dict."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

REVISION = "c0ffee" + "0" * 34


class Hub(ThreadingHTTPServer):
    """`files` by repository and name; `asked` lists what was fetched; `gated` answers 403;
    `hashless` states no hashes of weights."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.files: dict[str, dict[str, bytes]] = {}
        self.gated: set[str] = set()
        self.hashless = False
        self.asked: list[str] = []
        self.cuts: dict[str, list[int]] = {}
        """File -> for each of the next answers, the byte of the file where it breaks off."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        if path.startswith("api/models/"):
            return self.describe("/".join(path.split("/")[2:4]))
        if "/resolve/" in path:
            repository, _, rest = path.partition("/resolve/")
            return self.give(repository, rest.split("/", 1)[1])
        return self.refuse(404, "EntryNotFound")

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def describe(self, repository: str) -> None:
        if repository not in self.server.files:
            return self.refuse(404, "RepoNotFound")
        siblings = [self.sibling(name, raw) for name, raw in self.held(repository).items()]
        self.send(json.dumps({"id": repository, "sha": REVISION, "siblings": siblings}).encode())

    def held(self, repository: str) -> dict[str, bytes]:
        return self.server.files[repository]

    def sibling(self, name: str, raw: bytes) -> dict[str, object]:
        made: dict[str, object] = {"rfilename": name, "size": len(raw), "blobId": "0" * 40}
        if name.endswith((".gguf", ".safetensors")) and not self.server.hashless:
            digest = hashlib.sha256(raw).hexdigest()
            made["lfs"] = {"sha256": digest, "size": len(raw), "pointerSize": 130}
        return made

    def give(self, repository: str, name: str) -> None:
        if repository in self.server.gated:
            return self.refuse(403, "GatedRepo")
        if name not in self.server.files.get(repository, {}):
            return self.refuse(404, "EntryNotFound")
        self.send(self.held(repository)[name], name)

    def send(self, raw: bytes, name: str = "") -> None:
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        if name and self.command == "GET":
            self.server.asked.append(f"{name} from {start}" if start else name)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(raw) - start))
        self.send_header("ETag", f'"{hashlib.sha256(raw).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(raw) - 1}/{len(raw)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        cuts = self.server.cuts.get(name)
        stop = cuts.pop(0) if cuts else None
        self.wfile.write(raw[start:stop])
        self.close_connection = stop is not None


@contextmanager
def running() -> Iterator[Hub]:
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
