"""stream.py PACKAGE: the floor's Python side for streams, one blocking loop on the socket that is descriptor 0.

Frames are as those of loop.py. Each frame that comes in is answered by one for each update, and an empty one at the end.
"""
import json
import socket
import struct
import sys

sys.path.insert(0, sys.argv[1])
from deployment import Deployment

length = struct.Struct(">I")
peer = socket.socket(fileno=0)
frames = peer.makefile("rb", buffering=64 * 1024)
deployment = Deployment()


def tell(text):
    update = text.encode()
    peer.sendall(length.pack(len(update)) + update)


peer.sendall(length.pack(0))
while True:
    head = frames.read(4)
    if len(head) < 4:
        break
    body = frames.read(length.unpack(head)[0])
    deployment.request(json.loads(body), {"streaming_update": tell})
    peer.sendall(length.pack(0))
