# SPDX-License-Identifier: MIT
"""A reader of HdrHistogram's interval log, by its specification and not by our writer:
the histogram V2 encoding of HdrHistogram 2.1 (AbstractHistogram.java, ZigZagEncoding.java)."""
import base64
import dataclasses
import struct
import zlib


@dataclasses.dataclass
class Line:
    tag: str | None
    start_s: float
    length_s: float
    most_ms: float
    counts: dict  # highest value of a bucket (ns): how many


def numbers(data):
    """ZigZag LEB128 of 64 bits in at most 9 bytes."""
    at = 0
    while at < len(data):
        value = shift = 0
        for place in range(9):
            byte = data[at]
            at += 1
            value |= (byte if place == 8 else byte & 0x7f) << shift
            shift += 7
            if place < 8 and not byte & 0x80:
                break
        yield (value >> 1) ^ -(value & 1)


def highest_in_bucket(index, half_bits):
    half = 1 << half_bits
    if index < 2 * half:
        return index
    shift = (index >> half_bits) - 1
    return (((index & (half - 1)) + half + 1) << shift) - 1


def decode(text):
    data = base64.b64decode(text, validate=True)
    cookie, size = struct.unpack(">II", data[:8])
    assert cookie == 0x1c849314 and size == len(data) - 8, hex(cookie)
    plain = zlib.decompress(data[8:])
    cookie, size, offset, digits, low, high, ratio = struct.unpack(">IIIIQQd", plain[:40])
    assert cookie == 0x1c849313 and size == len(plain) - 40, hex(cookie)
    assert (offset, digits, low, ratio) == (0, 3, 1, 1.0) and high == 3_600_000_000_000
    counts, index = {}, 0
    for number in numbers(plain[40:]):
        if number < 0:
            index += -number
            continue
        if number:
            counts[highest_in_bucket(index, 10)] = number
        index += 1
    return counts


def read_log(path):
    """The Lines of the log at PATH, whose head is checked."""
    with open(path, encoding="ascii") as file:
        lines = file.read().splitlines()
    assert "#[Histogram log format version 1.3]" in lines, lines[:4]
    assert any(line.startswith("#[StartTime: ") for line in lines)
    found, names = [], False
    for line in lines:
        if line.startswith("#"):
            continue
        if not names:
            assert line.startswith('"StartTimestamp","Interval_Length","Interval_Max",'), line
            names = True
            continue
        parts = line.split(",")
        tag = parts.pop(0)[4:] if line.startswith("Tag=") else None
        found.append(Line(tag, *map(float, parts[:3]), decode(parts[3])))
    return found
