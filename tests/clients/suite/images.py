"""PNG images, eight bits a channel, with the standard library alone. Deployments of tests have this module in their package."""

import struct
import typing
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Channels of a pixel, by the type of its colours.
CHANNELS = {0: 1, 2: 3}

Pixel = typing.Tuple[int, ...]
Rows = typing.List[typing.List[Pixel]]


def written(rows: Rows) -> bytes:
    """The image of these pixels: grey ones have one channel, coloured ones three."""
    height, width, channels = len(rows), len(rows[0]), len(rows[0][0])
    colours = next(kind for kind, count in CHANNELS.items() if count == channels)
    # Each row begins with its filter: none.
    raw = b"".join(b"\0" + bytes(value for pixel in row for value in pixel) for row in rows)
    head = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def chunk(kind: bytes, content: bytes) -> bytes:
    """A part of an image."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def read(image: bytes) -> Rows:
    """The pixels of an image as `written` makes them; anything else is a mistake."""
    assert image.startswith(SIGNATURE), "no PNG image"
    chunks: typing.Dict[bytes, bytes] = {}
    at = len(SIGNATURE)
    while at < len(image):
        (length,) = struct.unpack_from(">I", image, at)
        kind, content = image[at + 4 : at + 8], image[at + 8 : at + 8 + length]
        assert image[at : at + 12 + length] == chunk(kind, content), "a part is broken"
        chunks[kind] = content
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"], list(chunks)
    width, height, depth, colours, *others = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, others) == (8, [0, 0, 0])
    channels = CHANNELS[colours]
    raw, stride = zlib.decompress(chunks[b"IDAT"]), 1 + width * channels
    assert len(raw) == stride * height, "not as many pixels as it says"
    rows = []
    for start in range(0, len(raw), stride):
        assert raw[start] == 0, "a filter"
        row = raw[start + 1 : start + stride]
        rows.append([tuple(row[pixel : pixel + channels]) for pixel in range(0, len(row), channels)])
    return rows
