"""The floor beside the worker: one blocking loop over a socket, the json package and nothing else.

Frames in: length, route, body. Frames out: length, body.
"""

import json
import socket
import struct
import sys

dumps = json.dumps


def echo(d):
    return {"y": d["x"] * 2}


def main() -> None:
    functions = [echo]
    connection = socket.socket(fileno=int(sys.argv[1]))
    stream = connection.makefile("rb", buffering=1 << 16)
    pack, unpack = struct.Struct(">I").pack, struct.Struct(">I").unpack
    while True:
        head = stream.read(4)
        if len(head) < 4:
            return
        body = stream.read(unpack(head)[0])
        out = dumps(functions[body[0]](json.loads(body[1:])), separators=(",", ":")).encode()
        connection.sendall(pack(len(out)) + out)


if __name__ == "__main__":
    main()
