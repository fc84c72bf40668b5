"""Documents that two validators take or refuse, the C one (asked through cagectl) and the JSON Schema,
in folders of good and bad ones."""

import functools
import json
import subprocess

import jsonschema


class Validators:
    """`folder` has good/, bad/ and bad-text/, which only the C validator refuses, and paths.json: at which
    JSON path the fault of each bad one has to be told. `check` are the words of the verb."""

    def __init__(self, folder, schema, *check):
        self.folder = folder
        self.check = check
        self.paths = json.loads((folder / "paths.json").read_text())
        self.schema = json.loads(schema.read_text())
        self.by_schema = jsonschema.Draft202012Validator(self.schema)

    def names(self, kind):
        return sorted(f"{kind}/{path.name}" for path in (self.folder / kind).glob("*.json"))

    def read(self, name):
        return json.loads((self.folder / name).read_text())

    def run(self, *arguments):
        return subprocess.run([*self.check, *arguments], capture_output=True, cwd=self.folder, timeout=60)

    @functools.cached_property
    def verdicts(self):
        """What the C validator says about every document, by its name."""
        result = self.run("-j", *self.names("good"), *self.names("bad"), *self.names("bad-text"))
        assert result.returncode == 65, result.stderr.decode()
        lines = [json.loads(line) for line in result.stdout.decode().split("\n") if line]
        return {line.get("card", line.get("policy")): line for line in lines}

    def assert_schema(self):
        self.by_schema.check_schema(self.schema)
        assert self.schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"

    def assert_many(self, good, bad):
        assert len(self.names("good")) >= good
        assert len(self.names("bad")) >= bad
        assert sorted(self.paths) == sorted(self.names("bad") + self.names("bad-text"))

    def assert_c_refuses(self, name):
        assert self.verdicts[name]["ok"] is False
        assert self.verdicts[name]["path"] == self.paths[name]

    def assert_both_refuse(self, name):
        self.assert_c_refuses(name)
        assert not self.by_schema.is_valid(self.read(name))

    def told(self, name):
        """The refusal, which is a whole sentence."""
        verdict = self.verdicts[name]
        assert verdict["found"] and verdict["expected"]
        told = verdict["path"] + verdict["found"] + verdict["expected"]
        assert told.isprintable()
        return told
