"""A terminal with a person at it, played by the test."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time


class Terminal:
    """`cagectl run` of a card on the slave of a PTY; we hold the master and play the person."""

    def __init__(self, client, card, rows=24, columns=80, options=("-t",)):
        self.card = card
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(slave)
        words = client.daemon.cagectl_words(client.user, "run", *options, client.cards.write(card))
        os.fchown(slave, client.user.uid, -1)
        self.process = subprocess.Popen(
            words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.slave = slave
        self.seen = b""

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, text, timeout=15, poke=b""):
        """Reads until the text has come, typing `poke` in every pause."""
        end = time.monotonic() + timeout
        while text not in self.seen:
            assert time.monotonic() < end, f"{text!r} did not come; what came: {self.seen!r}"
            if select.select([self.master], [], [], 0.5)[0]:
                self.seen += os.read(self.master, 65536)
            elif poke:
                self.type(poke)
        return self.seen

    def type(self, data):
        os.write(self.master, data)

    def finish(self, timeout=20):
        status = self.process.wait(timeout)
        while select.select([self.master], [], [], 0.1)[0]:
            self.seen += os.read(self.master, 65536)
        return status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)
