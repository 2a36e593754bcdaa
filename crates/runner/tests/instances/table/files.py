"""A deployment that does harm by files, as it is told.

An attack is a function of this file. It returns the path of a file to hand back, or nothing and says how far it came.
"""
import os
import socket
import struct


def scratch(name):
    return os.path.join(os.environ["TMPDIR"], name)


def link(data):
    os.symlink(data["database"], scratch("link"))
    return scratch("link")


def pipe(data):
    os.mkfifo(scratch("pipe"))
    return scratch("pipe")


def device(data):
    return "/dev/zero"


def kernel_file(data):
    return "/proc/self/environ"


def forge(descriptor, count):
    """Sends a descriptor as files of the call in work, on the worker's own socket."""
    wire = socket.socket(fileno=os.dup(700))
    for index in range(count):
        frame = struct.pack(">IBQI", 13, 0x0B, 1, index)
        wire.sendmsg([frame], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", descriptor))])


def forged_pipe(data):
    forge(os.pipe()[0], 1)


def forged_without_end(data):
    with open(scratch("file"), "w+") as file:
        forge(file.fileno(), 1001)


class Deployment:
    def request(self, data):
        if data["attack"] != "given":
            path = globals()[data["attack"]](data)
            return {"out": [path] if path else [], "said": "came through"}
        folder = os.path.realpath(scratch("modelyard-requests"))
        inside = os.path.realpath(data["in"]).startswith(folder + os.sep)
        return {"out": [], "said": "a file in that folder" if inside else "came through: " + data["in"]}
