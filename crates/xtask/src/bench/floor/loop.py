"""loop.py PACKAGE: the floor's Python side, one blocking loop on the socket that is descriptor 0.

A frame is a length of four bytes, big-endian, and that many bytes of JSON. An empty frame is sent once the package
is loaded; from then on every frame that comes in is answered by one. The loop ends when the other side closes.
"""
import json
import socket
import struct
import sys

sys.path.insert(0, sys.argv[1])
from deployment import Deployment

deployment = Deployment(sys.argv[1], {})
request = deployment.request
parse = json.loads
write = json.JSONEncoder(separators=(",", ":")).encode
length = struct.Struct(">I")
peer = socket.socket(fileno=0)
frames = peer.makefile("rb", buffering=64 * 1024)

peer.sendall(length.pack(0))
while True:
    head = frames.read(4)
    if len(head) < 4:
        break
    body = frames.read(length.unpack(head)[0])
    answer = write(request(parse(body))).encode()
    peer.sendall(length.pack(len(answer)) + answer)
