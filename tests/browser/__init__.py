"""The webmail in Debian's Chromium against a real server."""
