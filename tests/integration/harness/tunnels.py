"""Real tunnels of a real agent: servers that echo, and connections made from inside its network."""

import ctypes
import socket
import socketserver
import threading

CLONE_NEWNET = 0x40000000


class Echo(socketserver.ThreadingTCPServer):
    """Sends back what it gets. At 127.0.0.2, so that the port is not led into the cage's loopback."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, address="127.0.0.2"):
        super().__init__((address, 0), EchoHandler)
        self.host = f"{address}:{self.server_address[1]}"
        self.accepted = 0
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class EchoHandler(socketserver.BaseRequestHandler):
    def handle(self):
        self.server.accepted += 1
        try:
            while data := self.request.recv(65536):
                self.request.sendall(data)
        except OSError:
            pass  # to be cut is what is tried here


def in_network(fd, function):
    """The function's result, called in a thread that is in the network of a descriptor."""
    found = []

    def run():
        if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET) != 0:
            found.append(OSError(ctypes.get_errno(), "setns"))
            return
        try:
            found.append(function())
        except Exception as error:  # pylint: disable=broad-except
            found.append(error)  # the caller's to see
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


def in_network_of(pid, function):
    """The same, in the network of a process."""
    with open(f"/proc/{pid}/ns/net", encoding="ascii") as file:
        return in_network(file.fileno(), function)


def connect_in(client, agent_id, address):
    """A connection from inside the agent's network."""
    pid = client.inspect(agent_id)["agent"]["pid"]
    return in_network_of(pid, lambda: socket.create_connection(address, timeout=10))


def place_of(client, agent_id):
    """What ask_at() needs of an agent."""
    inspected = client.inspect(agent_id)
    network = inspected["network"]
    return inspected["agent"]["pid"], (network["gate_address"], network["gate_port"])


def ask_at(place, target):
    """A CONNECT by the agent's gate: the connection and the status."""
    pid, address = place
    conn = in_network_of(pid, lambda: socket.create_connection(address, timeout=10))
    conn.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head and (piece := conn.recv(1)):
        head += piece
    return conn, head[9:12].decode()


def ask(client, agent_id, target):
    return ask_at(place_of(client, agent_id), target)


def status_of(client, agent_id, target):
    conn, status = ask(client, agent_id, target)
    conn.close()
    return status


def tunnel(client, agent_id, target):
    conn, status = ask(client, agent_id, target)
    assert status == "200", (target, status)
    assert is_alive(conn)
    return conn


def is_alive(conn):
    try:
        conn.sendall(b"ping")
        return conn.recv(4, socket.MSG_WAITALL) == b"ping"
    except (ConnectionResetError, BrokenPipeError):
        return False


def is_cut(conn):
    """Whether the connection is over: reset by the gate, or closed with it."""
    conn.settimeout(10)
    try:
        return conn.recv(1) == b""
    except ConnectionResetError:
        return True
