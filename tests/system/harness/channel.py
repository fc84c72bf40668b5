"""The test's end of the connection to a guest; image/test-agent is the other, and says how they
talk. Requests may overlap: whoever waits for an answer also takes in the others'."""

import itertools
import json
import select
import socket
import time


class Silent(Exception):
    """The guest does not answer in time, or its connection is gone."""


class Channel:
    def __init__(self, connection):
        self.socket = connection
        self.socket.setblocking(False)
        self.buffer = bytearray()
        self.answers = {}
        self.numbers = itertools.count(1)

    def close(self):
        self.socket.close()

    def _wait(self, end, write=False):
        left = end - time.monotonic()
        ready = left > 0 and select.select([] if write else [self.socket],
                                           [self.socket] if write else [], [], left)
        if not ready or not (ready[0] or ready[1]):
            raise Silent("the guest does not answer")

    def send(self, end, request, data=b""):
        """Sends a request and returns its number."""
        number = next(self.numbers)
        head = json.dumps({**request, "id": number, "size": len(data)}).encode() + b"\n"
        view = memoryview(head + data)
        while view:
            self._wait(end, write=True)
            try:
                view = view[self.socket.send(view[:1 << 18]):]
            except BlockingIOError:
                continue
            except OSError as error:
                raise Silent(f"the guest is gone: {error}") from error
        return number

    def _receive(self, end):
        self._wait(end)
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError as error:
            raise Silent(f"the guest is gone: {error}") from error
        if not data:
            raise Silent("the guest is gone")
        self.buffer += data

    def _take_message(self, end):
        while (newline := self.buffer.find(b"\n")) < 0:
            self._receive(end)
        line = bytes(self.buffer[:newline])
        try:
            head = json.loads(line)
            size, number = head["size"], head["id"]
        except (ValueError, KeyError, TypeError):
            del self.buffer[:newline + 1]  # noise from before a reset
            return
        while len(self.buffer) < newline + 1 + size:
            self._receive(end)
        data = bytes(self.buffer[newline + 1:newline + 1 + size])
        del self.buffer[:newline + 1 + size]
        self.answers[number] = (head, data)

    def answer(self, number, end):
        """The answer to a request: its head and its data."""
        while number not in self.answers:
            self._take_message(end)
        return self.answers.pop(number)

    def drain(self):
        """Forgets what was said before the guest was reset."""
        try:
            while self.socket.recv(1 << 20):
                pass
        except BlockingIOError:
            pass
        self.buffer.clear()
        self.answers.clear()

    def ping(self, timeout):
        """Waits until the guest answers; asks again, since who is not yet there hears nothing."""
        end = time.monotonic() + timeout
        while True:
            soon = min(end, time.monotonic() + 1)
            try:
                self.answer(self.send(end, {"op": "ping"}), soon)
                return
            except Silent:
                if time.monotonic() >= end or self.closed():
                    raise

    def closed(self):
        try:
            return self.socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
