"""Requests as a client of the gate sends them."""


def get(url, extra=""):
    return f"GET {url} HTTP/1.1\r\nHost: {url.split('/')[2]}\r\n{extra}\r\n".encode()


def connect_to(target):
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()
