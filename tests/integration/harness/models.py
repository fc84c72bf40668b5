"""A scripted model server for one test, and the settings by which agents find it."""

import itertools
import json
import subprocess

from . import paths

_numbers = itertools.count(1)


class ModelServer:
    def __init__(self, base, turns):
        folder = base / f"model-{next(_numbers)}"
        folder.mkdir()
        self.log = folder / "log"
        script = folder / "script.json"
        script.write_text(json.dumps(turns))
        self.process = subprocess.Popen(
            [paths.MODEL_SERVER, "--script", script, "--log", self.log],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on 127.0.0.1:"), f"the model server said {line!r}"
        self.port = int(line.rpartition(":")[2])

    def requests(self):
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def stop(self):
        """Ends it and returns its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.stdout.close()
        return self.process.wait(10)

    def opencode_configuration(self):
        return json.dumps({
            "model": "local/scripted", "small_model": "local/scripted", "permission": "allow",
            "provider": {"local": {
                "npm": "@ai-sdk/openai-compatible",
                "options": {"baseURL": f"http://127.0.0.1:{self.port}/v1", "apiKey": "none"},
                "models": {"scripted": {"name": "Scripted",
                                        "limit": {"context": 128000, "output": 4096}}}}}})

    def codex_words(self):
        provider = (f'{{name="local",base_url="http://127.0.0.1:{self.port}/v1",'
                    'env_key="OPENAI_API_KEY",wire_api="responses"}')
        return ["-c", "model_provider=local", "-c", f"model_providers.local={provider}",
                "-m", "scripted"]
