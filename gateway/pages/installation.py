"""The pages as something that can be installed: manifests, icons, and the service worker that opens them offline."""

import json
from collections.abc import Mapping
from hashlib import sha256

from gateway.http.routing import Route, fixed
from gateway.pages.assembly import read_bytes, read_text, worker_headers

_SCRIPT = b"text/javascript; charset=utf-8"
_MANIFEST = b"application/manifest+json"
_ICON_HEADERS = ((b"cache-control", b"max-age=86400"),)
_SIZES = (192, 512)


def installation_routes(pages: Mapping[str, str]) -> Mapping[str, Route]:
    """Returns the paths that make these pages, by path, installable. The service worker's version is that of all that
    it keeps: whatever changes, a new one takes over."""
    kept: dict[str, bytes] = {
        **{path: page.encode() for path, page in pages.items()},
        "/manifest.webmanifest": _manifest("/", "互通 · 健康码", "健康码"),
        "/check.webmanifest": _manifest("/check", "互通 · 场所查验", "场所查验"),
        "/icon.svg": read_bytes("install/icon.svg"),
        **{f"/icon-{size}.png": read_bytes(f"install/icon-{size}.png") for size in _SIZES},
    }
    worker = read_text("install/worker.js").replace("/*pages*/", json.dumps(list(kept)))
    digest = sha256(worker.encode())
    for path, body in kept.items():
        digest.update(path.encode() + b"\0" + sha256(body).digest())
    worker = worker.replace("/*version*/", digest.hexdigest()[:16])
    return {
        "/worker.js": fixed("worker", worker.encode(), _SCRIPT, worker_headers()),
        **{path: fixed("manifest", body, _MANIFEST) for path, body in kept.items() if path.endswith(".webmanifest")},
        "/icon.svg": fixed("icon", kept["/icon.svg"], b"image/svg+xml", _ICON_HEADERS),
        **{
            path: fixed("icon", body, b"image/png", _ICON_HEADERS)
            for path, body in kept.items()
            if path.endswith(".png")
        },
    }


def _manifest(path: str, name: str, short_name: str) -> bytes:
    icons = [{"src": "/icon.svg", "sizes": "any", "type": "image/svg+xml"}]
    icons += [
        {"src": f"/icon-{size}.png", "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}
        for size in _SIZES
        for purpose in ("any", "maskable")
    ]
    described = {
        "id": path,
        "name": name,
        "short_name": short_name,
        "lang": "zh-CN",
        "start_url": path,
        "scope": "/",
        "display": "standalone",
        "background_color": "#eef3f2",
        "theme_color": "#0a7446",
        "icons": icons,
    }
    return json.dumps(described, ensure_ascii=False).encode()
