"""How each real agent is told of the scripted model: what its card has, and what stands in front of
the task. tests/agents has them at exact versions."""

import os

PATHS = {"opencode": "/v1/chat/completions", "qwen": "/v1/chat/completions",
         "codex": "/v1/responses", "claude": "/v1/messages", "gemini": "/v1beta/models/"}
NAMES = sorted(PATHS)


def _keys(name, model):
    server = f"http://127.0.0.1:{model.port}"
    return {
        "opencode": {"environment": {"OPENCODE_CONFIG_CONTENT": model.opencode_configuration()}},
        "codex": {"api_provider": "openai"},
        "claude": {"api_provider": "anthropic",
                   "environment": {"ANTHROPIC_BASE_URL": server, "ANTHROPIC_MODEL": "scripted"}},
        "gemini": {"api_provider": "custom", "environment": {
            "GOOGLE_GEMINI_BASE_URL": server, "GEMINI_MODEL": "scripted"}},
        "qwen": {"api_provider": "openai", "environment": {
            "OPENAI_BASE_URL": f"{server}/v1", "OPENAI_MODEL": "scripted"}},
    }[name]


def key_of(name):
    """The key that the agent is given, which the model server's log then has; OpenCode's is in its
    configuration."""
    return "none" if name == "opencode" else f"sk-{name}-test"


def card(client, name, model, environment=None, **more):
    """A card for the agent, with a key file of the user's where it needs one."""
    keys = {"agent": name, "agent_id": f"real-{name}", **_keys(name, model),
            "allowed_hosts": [f"127.0.0.1:{model.port}"], **more}
    keys["environment"] = {**keys.get("environment", {}), **(environment or {})}
    if name != "opencode":
        file = client.user.home / f"{name}-key"
        file.write_text(key_of(name) + "\n")
        os.chown(file, client.user.uid, client.user.gid)
        file.chmod(0o600)
        keys["api_key_file"] = str(file)
    return client.card(**keys)


def words(name, model, task):
    """What follows `--` on the command line."""
    return [*(model.codex_words() if name == "codex" else []), task]
