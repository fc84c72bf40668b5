"""What caged-gate says when it refuses a request: text, or JSON for who wants it, and a code."""

import json

import pytest

from harness.gate import METADATA, PUBLIC, Gate, in_world, read_answer
from harness.http import HttpServer


def get(url, accept=None, method="GET"):
    field = f"Accept: {accept}\r\n" if accept else ""
    return f"{method} {url} HTTP/1.1\r\n{field}\r\n".encode()


@in_world
def test_a_refusal_in_json_has_all_that_the_text_has():
    with Gate(["a.example"]) as gate:
        answer = gate.ask(get("http://b.example:81/", "application/json"))
        assert (answer.status, answer.reason) == (403, "host-not-allowed")
        assert answer.headers["content-type"] == "application/json"
        assert json.loads(answer.body) == {"error": {
            "code": "host-not-allowed",
            "message": 'caged refused b.example:81 for the agent "tester": no entry of '
                       "allowed_hosts in the agent's card matches this host and port.",
            "host": "b.example", "port": 81, "rule": None,
            "advice": "To allow it, the agent's operator can add \"b.example:81\" to allowed_hosts "
                      "in the card of tester, or run: cagectl allow tester b.example:81",
            "agent_id": "tester", "docs": "cagedd(8), section REFUSALS"}}
        text = gate.ask(get("http://b.example:81/"))
        assert text.headers["content-type"] == "text/plain; charset=utf-8"
        error = json.loads(answer.body)["error"]
        assert text.text == f'{error["message"]}\n{error["advice"]}\nCode: host-not-allowed\n'


@in_world
@pytest.mark.parametrize("accept,wanted", [
    ("application/json", True), ("text/html, application/json;q=0.9, */*", True),
    ("APPLICATION/JSON", True), ("*/*", False), ("text/plain", False), (None, False),
    ("application/jsonp", False), ("application/json-seq", False),
])
def test_json_is_for_who_names_it(accept, wanted):
    with Gate() as gate:
        answer = gate.ask(get("http://b.example/", accept))
        assert (answer.headers["content-type"] == "application/json") == wanted


@in_world
def test_a_denied_host_is_told_with_the_entry_that_denies_it():
    with Gate([PUBLIC], deny=["*.example"]) as gate:
        error = json.loads(gate.ask(get("http://b.example/", "application/json")).body)["error"]
        assert (error["code"], error["rule"]) == ("host-denied", "*.example")
        assert "denied_hosts" in error["advice"] and "cagectl reload" in error["advice"]
        assert "agent's card" not in error["message"], "cagectl deny may have added it"
        assert gate.decision()["rule"] == "*.example"


@in_world
def test_an_allowed_name_that_is_refused_is_told_with_its_entry():
    with Gate(["0.0.0.0/0:80"]) as gate:
        error = json.loads(gate.ask(get(f"http://{METADATA}/", "application/json")).body)["error"]
        assert (error["code"], error["rule"]) == ("address-not-allowed", "0.0.0.0/0:80")
        assert "metadata" in error["message"] and "private_hosts" in error["advice"]


@in_world
def test_a_request_that_names_no_host_has_none_in_its_refusal():
    with Gate() as gate:
        answer = gate.ask(b"GET / HTTP/1.1\r\nAccept: application/json\r\n\r\n")
        assert answer.reason == "bad-request"  # the fields were not read then
        assert answer.headers["content-type"].startswith("text/plain")
        answer = gate.ask(b"GET http://b.example/ HTTP/1.1\r\nAccept: application/json\r\n"
                          b"Host: a\r\nHost: b\r\n\r\n")
        error = json.loads(answer.body)["error"]
        assert (error["code"], error["host"], error["advice"]) == ("bad-request", "b.example", None)
        assert "two Host" in error["message"]


@in_world
def test_what_a_server_said_wrongly_is_told_in_json_too():
    """The text of another cannot break out of it."""
    server = HttpServer(lambda request, conn: b'HTTP/1.1 2" {\r\n\r\n')
    with Gate([f"{PUBLIC}:{server.port}"]) as gate, gate.connect() as conn:
        conn.sendall(get(f"http://{PUBLIC}:{server.port}/", "application/json"))
        error = json.loads(read_answer(conn).body)["error"]
        assert (error["code"], error["rule"]) == ("bad-answer", f"{PUBLIC}:{server.port}")
        # The request was whole and nothing of the answer has passed: the connection goes on.
        conn.sendall(get("http://b.example/", method="HEAD"))
        assert read_answer(conn, True).status == 403
