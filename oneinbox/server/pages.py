"""The pages and scripts that the server hands out: the dashboard at ``/`` and the Web SDK below ``/sdk``."""

from pathlib import Path

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, PlainTextResponse, Response

STATIC_DIR = Path(__file__).parent / "static"
_SDK_FILES = ("web-sdk.js", "web-sdk.global.js", "web-sdk.js.map", "web-sdk.global.js.map")
_YEAR = "public, max-age=31536000, immutable"
_PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def _content_policy(recordings_origin: str | None) -> str:
    """Return what pages may load; recordings may lie on another server than ours."""
    sound = f"'self' blob: mediastream: {recordings_origin or ''}".strip()
    return (
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        f"font-src 'self'; media-src {sound}; worker-src 'self' blob:; "
        "connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    )


def page_routes(static_dir: Path = STATIC_DIR, *, recordings_origin: str | None = None) -> APIRouter:
    """Return the routes of the pages. They come last: what no other route takes is a page of the dashboard.

    ``recordings_origin``: where pages play recordings from beside this server, such as ``https://s3.example.com``.
    """
    page_headers = {**_PAGE_HEADERS, "Content-Security-Policy": _content_policy(recordings_origin)}
    router = APIRouter(include_in_schema=False)
    dashboard = (static_dir / "dashboard").resolve()
    sdk = static_dir / "sdk"

    @router.get("/sdk/{name}")
    async def script(name: str) -> Response:
        """The Web SDK, for pages of any origin."""
        if name not in _SDK_FILES or not (sdk / name).is_file():
            return PlainTextResponse("no such file", status_code=404)
        headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache"}
        return FileResponse(sdk / name, headers=headers)

    @router.api_route("/{path:path}", methods=["GET", "HEAD"])
    async def page(path: str) -> Response:
        """A file of the dashboard, or its only page, which knows its own addresses."""
        if path == "v1" or path.startswith("v1/"):
            raise HTTPException(404)  # programs ask there: they get the body that every error has
        if path.startswith(("rtc", "sdk/", "internal/")) or "\0" in path:
            return PlainTextResponse("not found", status_code=404)
        file = (dashboard / path).resolve()
        if path and file.is_relative_to(dashboard) and file.is_file():
            # Only the names below assets/ change with what is in them.
            caching = _YEAR if path.startswith("assets/") else "no-cache"
            return FileResponse(file, headers={"Cache-Control": caching, "X-Content-Type-Options": "nosniff"})
        index = dashboard / "index.html"
        if path.startswith("assets/") or not index.is_file():
            text = "not found" if index.is_file() else "the dashboard is not built; run `make web`"
            return PlainTextResponse(text, status_code=404)
        return FileResponse(index, headers=page_headers)

    return router
