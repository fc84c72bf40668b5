"""The scripted model server itself, by each of its protocols."""

import http.client
import json
import subprocess

import pytest

from harness import paths

TURNS = [{"write": {"path": "hello.txt", "content": "it's\n"}}, {"shell": "id"}, {"say": "One\nTwo"}]
CHAT_TOOLS = [{"type": "function", "function": {"name": name, "parameters": {}}}
              for name in ("bash", "write")]
RESPONSES_TOOLS = [{"type": "function", "name": "exec_command"}]


@pytest.fixture(scope="module")
def server(model_server):
    return model_server(TURNS)


def post(server, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    reply = connection.getresponse()
    data = reply.read().decode()
    connection.close()
    return reply.status, data


def events(data):
    lines = [line[6:] for line in data.splitlines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def chat(server, results, **keys):
    messages = [{"role": "user", "content": "go"}]
    messages += [{"role": "tool", "content": result} for result in results]
    return post(server, "/v1/chat/completions",
                {"model": "m", "tools": CHAT_TOOLS, "messages": messages, **keys})


def test_chat_calls_the_tools_of_the_script_in_turn(server):
    for results, name, arguments in (
            ([], "write", {"filePath": "hello.txt", "content": "it's\n"}),
            (["done"], "bash", {"command": "id", "description": "Runs a command"})):
        status, data = chat(server, results)
        call = json.loads(data)["choices"][0]["message"]["tool_calls"][0]["function"]
        assert (status, call["name"]) == (200, name)
        assert json.loads(call["arguments"]) == arguments
    _, data = chat(server, ["done", "uid=0"])
    choice = json.loads(data)["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("One\nTwo", "stop")


def test_chat_streams_to_the_end_marker(server):
    _, data = chat(server, ["done", "uid=0"], stream=True)
    *chunks, last = events(data)
    assert last == "[DONE]"
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert text == "One\nTwo"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_a_new_word_of_the_user_starts_the_script_again(server):
    messages = [{"role": "user", "content": "go"}, {"role": "tool", "content": "x"},
                {"role": "user", "content": "again"}]
    _, data = post(server, "/v1/chat/completions", {"tools": CHAT_TOOLS, "messages": messages})
    assert json.loads(data)["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "write"


def test_a_side_errand_without_tools_gets_a_word(server):
    _, data = post(server, "/v1/chat/completions", {"messages": [{"role": "user", "content": "t"}]})
    assert json.loads(data)["choices"][0]["message"]["content"] == "A short task"


def test_responses_write_by_the_shell_where_there_is_no_tool_for_it(server):
    _, data = post(server, "/v1/responses", {"stream": True, "tools": RESPONSES_TOOLS, "input": []})
    kinds = [event["type"] for event in events(data)]
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    item = next(e["item"] for e in events(data) if e["type"] == "response.output_item.done")
    command = json.loads(item["arguments"])["cmd"]
    assert item["name"] == "exec_command"
    assert subprocess.run(["sh", "-c", command.replace("> hello.txt", "")],
                          capture_output=True, check=True).stdout == b"it's\n"


def test_messages_count_the_results_since_the_user_spoke(server):
    def ask(*results, **keys):
        messages = [{"role": "user", "content": "go"}]
        for result in results:
            messages.append({"role": "user", "content": [
                {"type": "tool_result", "content": result}, {"type": "text", "text": "a reminder"}]})
        return post(server, "/v1/messages?beta=true", {"tools": [{"name": "Bash"}, {"name": "Write"}],
                                                       "messages": messages, **keys})

    for results, name, arguments in (
            ([], "Write", {"file_path": "hello.txt", "content": "it's\n"}),
            (["done"], "Bash", {"command": "id", "description": "Runs a command"})):
        reply = json.loads(ask(*results)[1])
        assert (reply["stop_reason"], reply["content"][0]["name"]) == ("tool_use", name)
        assert reply["content"][0]["input"] == arguments
        streamed = events(ask(*results, stream=True)[1])
        deltas = [event["delta"] for event in streamed if event["type"] == "content_block_delta"]
        assert json.loads(deltas[0]["partial_json"]) == arguments
        assert streamed[-1]["type"] == "message_stop"
    last = json.loads(ask("done", "uid=0")[1])
    assert (last["content"][0]["text"], last["stop_reason"]) == ("One\nTwo", "end_turn")


def test_gemini_calls_its_functions_whole_and_streamed(server):
    tools = [{"functionDeclarations": [{"name": "write_file"}, {"name": "run_shell_command"}]}]

    def ask(method, *results):
        contents = [{"role": "user", "parts": [{"text": "go"}]}]
        for result in results:
            contents.append({"role": "user", "parts": [{"functionResponse": {"response": result}}]})
        return post(server, f"/v1beta/models/m-1:{method}", {"tools": tools, "contents": contents})

    def part(reply):
        return reply["candidates"][0]["content"]["parts"][0]

    call = part(json.loads(ask("generateContent")[1]))["functionCall"]
    assert (call["name"], call["args"]) == \
        ("write_file", {"file_path": "hello.txt", "content": "it's\n"})
    call = part(events(ask("streamGenerateContent?alt=sse", {"output": "done"})[1])[0])["functionCall"]
    assert (call["name"], call["args"]["command"]) == ("run_shell_command", "id")
    last = events(ask("streamGenerateContent?alt=sse", {"output": "done"}, {"output": "0"})[1])
    assert part(last[0]) == {"text": "One\nTwo"}
    assert ask("countTokens")[0] == 404


def test_a_file_is_read_by_the_tool_for_it_or_by_the_shell(model_server):
    reader = model_server([{"read": "a b"}, {"say": "x"}])
    body = {"messages": [{"role": "user", "content": "go"}],
            "tools": [{"function": {"name": name}} for name in ("bash", "read")]}
    for tools, arguments in ((body["tools"], {"filePath": "a b"}),
                             (body["tools"][:1], {"command": "cat 'a b'",
                                                  "description": "Runs a command"})):
        _, data = post(reader, "/v1/chat/completions", {**body, "tools": tools})
        call = json.loads(data)["choices"][0]["message"]["tool_calls"][0]["function"]
        assert json.loads(call["arguments"]) == arguments


@pytest.mark.parametrize("body, status", [
    ("{", 400), ("[]", 400), ('{"messages": 3}', 400), ('{"tools": [{}], "messages": []}', 400),
    ('{"tools": [{"function": {"name": "fly"}}], "messages": []}', 400)])
def test_what_it_cannot_answer_is_an_error_and_the_next_request_is_served(server, body, status):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("POST", "/v1/chat/completions", body)
    assert connection.getresponse().status == status
    connection.close()
    assert chat(server, [])[0] == 200


def test_the_log_has_what_was_asked_and_what_tools_said(server, model_server):
    fresh = model_server(TURNS)
    chat(fresh, ["the tool's words"])
    assert [(entry["path"], entry["turn"], entry["results"]) for entry in fresh.requests()] == \
        [("/v1/chat/completions", 1, ["the tool's words"])]
    assert fresh.stop() == 0


@pytest.mark.parametrize("script", ["{}", "[]", "[1]", '[{"fly": 1}, {"say": "x"}]', "nonsense"])
def test_a_bad_script_is_refused(tmp_path, script):
    path = tmp_path / "script.json"
    path.write_text(script)
    done = subprocess.run([paths.MODEL_SERVER, "--script", path], capture_output=True, timeout=10)
    assert done.returncode == 1 and done.stderr.startswith(b"model-server: "), done.stderr
