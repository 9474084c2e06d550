"""Our own address as the browser knows it, and whether a request comes from one of our own pages.

Everything that cookies allow asks `from_our_page` first. Browsers say where a request comes from (Fetch Metadata, or
Origin on everything but plain GETs); what says nothing at all is no browser's cross-site request, or an old one, and
against those stands SameSite=Strict.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from posthouse.accounts.passkeys import Site


def site_of(request: HTTPConnection, public_url: str) -> Site:
    """Our site; `public_url` (`web.url`) stands above what the request says."""
    if public_url:
        found = urlsplit(public_url)
        return Site(origin=f"{found.scheme}://{found.netloc}", host=found.hostname or "")
    scheme = "https" if request.url.scheme in {"https", "wss"} else "http"
    return Site(origin=f"{scheme}://{request.url.netloc}", host=request.url.hostname or "")


def is_secure(site: Site) -> bool:
    """Whether browsers reach us over TLS."""
    return site.origin.startswith("https:")


def from_our_page(request: HTTPConnection, site: Site) -> bool:
    """False when the request was made by somebody else's page."""
    fetch_site = request.headers.get("sec-fetch-site")
    if fetch_site is not None and fetch_site not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("origin")
    return origin is None or origin.lower() == site.origin.lower()


def inner_path(text: str) -> str:
    """A path within our site to go on to; `/` for whatever is not surely one (no open redirect).

    Browsers take `//host`, `/\\host` and tabs within for other hosts.
    """
    plain = text.startswith("/") and text[1:2] not in {"/", "\\"} and text.isprintable() and text.isascii()
    return text if plain and "\\" not in text and len(text) < 2000 and not text.startswith("/log") else "/"
