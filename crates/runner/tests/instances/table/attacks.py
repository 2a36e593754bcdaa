"""A deployment that does what it is told, and says how far it came.

An attack is a function of this file. It returns what it got when it comes through, and raises an OSError when it does not.
"""
import ctypes
import errno
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
NUMBERS = {
    "x86_64": {"init_module": 175, "bpf": 321, "io_uring_setup": 425, "keyctl": 250, "process_vm_readv": 310, "userfaultfd": 323},
    "aarch64": {"init_module": 105, "bpf": 280, "io_uring_setup": 425, "keyctl": 219, "process_vm_readv": 270, "userfaultfd": 282},
}


def checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def call(name, *arguments):
    return checked(libc.syscall(NUMBERS[platform.machine()][name], *arguments))


def read(path):
    with open(path, "rb") as file:
        return len(file.read())


def write(path):
    with open(path, "wb") as file:
        file.write(b"x")


def read_shadow(on):
    return read("/etc/shadow")


def read_database(on):
    return read(on["database"])


def read_host_file(on):
    return read(on["host_file"])


def read_scratch(on):
    return read(on["neighbour_scratch"])


def reach_socket(on):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + on["neighbour_socket"])


def change_environment(on):
    write(on["environment"] + "/module.py")


def first_environment(on):
    return read("/proc/1/environ")


def server_environment(on):
    return read("/proc/%d/environ" % on["server"])


def own_environment(on):
    if not [name for name in os.environ if name.startswith("MODELYARD")]:
        raise OSError(0, "not passed on")


def see_processes(on):
    if not os.path.isdir("/proc/%d" % on["server"]):
        raise OSError(0, "not there")


def signal_server(on):
    os.kill(on["server"], 0)


def read_memory(on):
    class Vector(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    kept = ctypes.create_string_buffer(8)
    vector = Vector(ctypes.addressof(kept), 8)
    one, none = ctypes.c_ulong(1), ctypes.c_ulong(0)
    call("process_vm_readv", os.getppid(), ctypes.byref(vector), one, ctypes.byref(vector), one, none)


def trace(on):
    child = subprocess.Popen(["/bin/sleep", "100"])
    try:
        checked(libc.ptrace(16, child.pid, None, None))
        os.waitpid(child.pid, os.WUNTRACED)
    finally:
        child.kill()
        child.wait()


def raw_socket(on):
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


def packet_socket(on):
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)


def mount(on):
    checked(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))


def user_namespace(on):
    child = os.fork()
    if child == 0:
        done = libc.unshare(0x10000000)
        os._exit(0 if done == 0 else ctypes.get_errno())
    status = os.waitpid(child, 0)[1]
    number = os.waitstatus_to_exitcode(status)
    if number:
        raise OSError(number, os.strerror(number))


def change_root(on):
    checked(libc.chroot(b"/tmp"))


def load_module(on):
    call("init_module", None, 0, b"")


def kernel_keys(on):
    # The keyring of the session.
    call("keyctl", 0, -3, 1)


def load_filter(on):
    # A map of one number.
    call("bpf", 0, (ctypes.c_uint32 * 18)(2, 4, 4, 1), 72)


def ring(on):
    call("io_uring_setup", 1, (ctypes.c_uint32 * 30)())


def page_faults(on):
    call("userfaultfd", 0o2004000)


def set_user_id(on):
    seen = subprocess.run([on["set_user_id"], "-u"], capture_output=True, text=True, check=True).stdout.strip()
    if seen != "0":
        raise OSError(0, "ran as itself")


def become_root(on):
    os.setuid(0)


def kernel_setting(on):
    write("/proc/sys/kernel/core_pattern")


def make_device(on):
    os.mknod(os.environ["TMPDIR"] + "/device", 0o060600, os.makedev(8, 0))


def fork_bomb(on):
    children = []
    try:
        while True:
            child = os.fork()
            if child == 0:
                time.sleep(1000)
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child in children:
            os.waitpid(child, 0)


def open_files(on):
    kept = []
    try:
        while True:
            kept.append(os.open("/dev/null", os.O_RDONLY))
    finally:
        for one in kept:
            os.close(one)


def large_file(on):
    path = os.environ["TMPDIR"] + "/large"
    try:
        with open(path, "wb") as file:
            while True:
                file.write(b"x" * (1 << 20))
                file.flush()
    finally:
        os.remove(path)


def fill_disk(on):
    for number in range(20):
        with open("%s/part%d" % (os.environ["TMPDIR"], number), "wb") as file:
            file.write(b"x" * (8 << 20))
    time.sleep(60)


def fill_disk_unseen(on):
    kept = []
    for number in range(20):
        kept.append(open("%s/unseen" % os.environ["TMPDIR"], "wb"))
        os.remove(kept[-1].name)
        kept[-1].write(b"x" * (8 << 20))
        kept[-1].flush()
    time.sleep(60)


def fill_memory(on):
    kept = []
    try:
        while True:
            kept.append(bytearray(b"x" * (8 << 20)))
    except MemoryError:
        del kept
        raise OSError(0, "MemoryError")


def be_neighbour(on):
    """Not an attack: has something to be stolen."""
    with open(os.environ["TMPDIR"] + "/secret", "w") as file:
        file.write("secret")
    server = socket.socket(socket.AF_UNIX)
    server.bind("\0" + on["neighbour_socket"])
    server.listen()
    on["kept"].append(server)


class Deployment:
    def __init__(self):
        self.kept = []

    def request(self, data):
        on = json.loads(data)
        on["kept"] = self.kept
        try:
            return "came through: %r" % (globals()[on["attack"]](on),)
        except OSError as e:
            return e.strerror
