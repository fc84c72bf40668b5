"""A file system of a user's program (fuse(4)) that stops answering."""

import ctypes
import os
import select
import struct
import threading

LOOKUP, GETATTR, OPEN, STATFS, RELEASE, FLUSH, INIT, OPENDIR, RELEASEDIR = \
    1, 3, 14, 17, 18, 25, 26, 27, 29
HEADER = struct.Struct("IIQQIIII")
MS_NOSUID_NODEV = 2 | 4
MNT_DETACH = 2
LIBC = ctypes.CDLL(None, use_errno=True)


class HangingFuse:
    """One file in one folder, mounted as fusermount(1) does it for a user where /etc/fuse.conf has
    user_allow_other. Both can be opened and closed; whatever else is asked for waits."""

    inside = 0o100600  # the mode of what any name in it leads to

    def __init__(self, folder, user, more=""):
        self.folder, self.user = str(folder), user
        self.file = f"{self.folder}/file"
        self.device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        options = (f"fd={self.device},rootmode=40000,user_id={user.uid},group_id={user.gid},"
                   f"allow_other{more}")
        if LIBC.mount(b"hanging", self.folder.encode(), b"fuse", MS_NOSUID_NODEV,
                      options.encode()) != 0:
            os.close(self.device)
            raise OSError(ctypes.get_errno(), "mount")
        self.unanswered = []
        self.held = None  # or the closes that wait for their answer
        self.over = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def detach(self):
        """Its folder is as before, while what waits goes on waiting."""
        LIBC.umount2(self.folder.encode(), MNT_DETACH)

    def close(self):
        """What waits fails."""
        self.over = True
        self.thread.join()
        os.close(self.device)
        self.detach()

    def hold_closes(self):
        """From now on a close of the file takes until let_go()."""
        self.held = []

    def is_held_by(self, daemon):
        """Whether the daemon has a descriptor of the file."""
        folder = f"/proc/{daemon.pid}/fd"
        return self.file in (os.readlink(f"{folder}/{number}") for number in os.listdir(folder))

    def let_go(self):
        held, self.held = self.held, None
        for unique in held:
            self._write(unique, b"")

    def _write(self, unique, answer):
        os.write(self.device, struct.pack("IiQ", 16 + len(answer), 0, unique) + answer)

    def _serve(self):
        while not self.over:
            if not select.select([self.device], [], [], 0.1)[0]:
                continue
            request = os.read(self.device, 1 << 18)
            _, code, unique, node, *_ = HEADER.unpack_from(request)
            answer, held = self._answer(code, node), self.held
            if answer is None:
                self.unanswered.append(code)
            elif code == FLUSH and held is not None:
                held.append(unique)
            else:
                self._write(unique, answer)

    def _answer(self, code, node):
        if code == INIT:
            return struct.pack("IIIIHHI", 7, 12, 65536, 0, 12, 10, 65536)
        if code == LOOKUP:  # the file; none of it may be remembered
            return struct.pack("QQQQII", 2, 0, 0, 0, 0, 0) + struct.pack(
                "QQQQQQIIIIIIIIII", 2, 4, 1, 0, 0, 0, 0, 0, 0, self.inside, 1,
                self.user.uid, self.user.gid, 0, 4096, 0)
        if code in (OPEN, OPENDIR):
            return struct.pack("QII", 0, 0, 0)
        return b"" if code in (FLUSH, RELEASE, RELEASEDIR) else None


class FuseAbove(HangingFuse):
    """One with a folder in it instead, over which something can be mounted, and which answers until
    it is told to hang: then also when names are looked up and permissions are asked for."""

    inside = 0o040755
    hangs = False

    def __init__(self, folder, user):
        super().__init__(folder, user, ",default_permissions")

    def _answer(self, code, node):
        if self.hangs and code != INIT:
            return None
        if code == GETATTR:
            return struct.pack("QII", 0, 0, 0) + struct.pack(
                "QQQQQQIIIIIIIIII", node, 4, 1, 0, 0, 0, 0, 0, 0, 0o040755, 1,
                self.user.uid, self.user.gid, 0, 4096, 0)
        return super()._answer(code, node)
