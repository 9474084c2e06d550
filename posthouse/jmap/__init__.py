"""JMAP (RFC 8620 and its family): what requests mean, over the store. No sockets: `web/jmap.py` carries them."""
