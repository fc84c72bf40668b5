"""A small Varlink client of its own, so that the daemon is not tested by its own library: JSON
objects ended by NUL, descriptors by SCM_RIGHTS. Also sends what no honest client would."""

import array
import json
import os
import socket
import struct

from .patience import PATIENCE
from .users import acting_as

DESCRIPTORS_MAX = 64


class VarlinkError(Exception):
    def __init__(self, name, parameters):
        super().__init__(f"{name} {json.dumps(parameters)}")
        self.name = name.removeprefix("io.caged.")
        self.parameters = parameters


class Disconnected(Exception):
    """The daemon ended the connection."""


class Connection:
    """One connection, made with the credentials of `user`."""

    def __init__(self, path, user, timeout=PATIENCE):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.socket.settimeout(timeout)
        self.user = user
        self.buffer = b""
        self.fds = []
        try:
            with acting_as(user):
                self.socket.connect(str(path))
        except BaseException:
            self.socket.close()
            raise

    def fileno(self):
        return self.socket.fileno()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def send_some(self, data, fds=()):
        """One sendmsg(2) in the user's name: this process is root, and the daemon looks at who sends
        each message; root may say so of anybody (SCM_CREDENTIALS, unix(7))."""
        sender = struct.pack("iII", os.getpid(), self.user.uid, self.user.gid)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, sender)]
        if fds:
            ancillary.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds)))
        return self.socket.sendmsg([data], ancillary)

    def send_bytes(self, data, fds=()):
        try:
            sent = self.send_some(data, fds)
            while sent < len(data):
                sent += self.send_some(data[sent:])
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Disconnected from error

    def send(self, method, parameters=None, fds=(), **flags):
        if "." not in method:
            method = "io.caged." + method
        message = {"method": method, "parameters": parameters or {}, **flags}
        self.send_bytes(json.dumps(message).encode() + b"\0", fds)

    def receive(self):
        """The next message, as it is."""
        while b"\0" not in self.buffer:
            try:
                data, ancillary, _, _ = self.socket.recvmsg(
                    65536, socket.CMSG_SPACE(4 * DESCRIPTORS_MAX), socket.MSG_CMSG_CLOEXEC)
            except ConnectionResetError as error:
                raise Disconnected from error
            for level, kind, payload in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    self.fds += array.array("i", payload[:len(payload) // 4 * 4])
            if not data:
                raise Disconnected
            self.buffer += data
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def reply(self):
        """The parameters of the next reply; a VarlinkError if it is one."""
        message = self.receive()
        if "error" in message:
            raise VarlinkError(message["error"], message.get("parameters", {}))
        return message.get("parameters", {})

    def call(self, method, parameters=None, fds=(), **flags):
        self.send(method, parameters, fds, **flags)
        return self.reply()

    def replies(self, method, parameters=None):
        """The replies to a `more` call, until the last."""
        self.send(method, parameters, more=True)
        while True:
            message = self.receive()
            if "error" in message:
                raise VarlinkError(message["error"], message.get("parameters", {}))
            yield message.get("parameters", {})
            if not message.get("continues"):
                return

    def ended(self):
        """Whether the daemon ends this connection (within the time-out)."""
        try:
            while True:
                self.receive()
        except Disconnected:
            return True
        except TimeoutError:
            return False
