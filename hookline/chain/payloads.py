"""Payloads as they are held in memory and in snapshots: JSON text, zstd."""

from threading import local

from pydantic_core import from_json, to_json
from zstandard import ZstdCompressor, ZstdDecompressor

from hookline.chain.events import Payload

__all__ = ["pack_payload", "payload_json", "unpack_payload"]

LEVEL = 3  # 2 KB of a Docker Hub body: about 10 microseconds; higher levels gain under 5 %


class _Codecs(local):
    """zstd contexts are costly to make and not to be shared between threads."""

    def __init__(self) -> None:
        self.compressor = ZstdCompressor(level=LEVEL, write_checksum=False, write_content_size=True)
        self.decompressor = ZstdDecompressor()


_codecs = _Codecs()


def pack_payload(payload: Payload) -> bytes:
    return _codecs.compressor.compress(to_json(payload))


def payload_json(packed: bytes) -> bytes:
    """The payload's JSON text, as it was packed."""
    return _codecs.decompressor.decompress(packed)


def unpack_payload(packed: bytes) -> Payload:
    payload: Payload = from_json(payload_json(packed))
    return payload
