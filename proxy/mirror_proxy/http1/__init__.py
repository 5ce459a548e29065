"""HTTP/1.1 without sockets: no asyncio, no clock, no I/O.

`parser` judges a head's grammar (llhttp), `framing` cuts it up and decides what RFC 9112 leaves to a
recipient, `chunked` follows a chunked body, `target` normalizes paths, `serializer` writes heads.
"""
