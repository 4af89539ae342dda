"""The page's own files, read at the start: what is not among them is not there, wherever it lies on the disk."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

PAGE = Path(__file__).parent / "page"

_INDEX = "index.html"


class _File(NamedTuple):
    kind: str
    body: bytes
    compressed: bytes
    etag: str


class Files:
    """Answers for what is in a folder."""

    def __init__(self, folder: Path = PAGE) -> None:
        self._files = {
            str(path.relative_to(folder)): _read(path) for path in sorted(folder.rglob("*")) if path.is_file()
        }

    async def index(self, request: web.Request) -> web.Response:
        """The page itself."""
        return self._answer(request, _INDEX)

    async def file(self, request: web.Request) -> web.Response:
        """One of its files; `name` in the path."""
        return self._answer(request, request.match_info["name"])

    def _answer(self, request: web.Request, name: str) -> web.Response:
        file = self._files.get(name)
        if file is None:
            raise web.HTTPNotFound
        headers = {"ETag": file.etag, "Vary": "Accept-Encoding", "Content-Type": file.kind}
        if request.headers.get("If-None-Match") == file.etag:
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        if "gzip" in request.headers.get("Accept-Encoding", "") and len(file.compressed) < len(file.body):
            return web.Response(body=file.compressed, headers={**headers, "Content-Encoding": "gzip"})
        return web.Response(body=file.body, headers=headers)


def _read(path: Path) -> _File:
    body = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if kind.startswith("text/") or kind in ("application/javascript", "image/svg+xml"):
        kind = f"{kind}; charset=utf-8"
    return _File(kind, body, gzip.compress(body, mtime=0), f'"{hashlib.sha256(body).hexdigest()[:32]}"')
