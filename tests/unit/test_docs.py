"""What the documentation says is held against the code: names, links, samples, policies."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main
import yaml

from bot import cli
from bot.check_manifest import check_manifest
from bot.settings import SECRETS, Settings
from core.domain.lifecycle import ENDS, TRANSITIONS
from core.domain.model import State
from core.policy.load import load
from core.policy.schema import Policy
from core.targets.standard_webhooks import parse_secrets, sign, verify

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    return re.sub(r"```.*?```", "", read(page), flags=re.DOTALL)


def samples(name: str) -> Iterator[str]:
    """The code blocks that a comment above them names."""
    for page in PAGES:
        yield from re.findall(rf"<!-- sample: {re.escape(name)} -->\n```\w+\n(.*?)```", read(page), re.DOTALL)


def module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A sample as a module, with the hook's secret in its environment."""
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    (source,) = samples(name)
    made = ModuleType(name)
    exec(compile(source, name, "exec"), made.__dict__)
    return made


def anchor(heading: str) -> str:
    """As GitHub makes them."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, fragment = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{target} leads nowhere"
        if fragment:
            headings = re.findall(r"^#+ (.*)$", read(there), re.MULTILINE)
            assert fragment in {anchor(heading) for heading in headings}, f"{target} names no heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_names_a_path_of_somebodys_machine(page: Path) -> None:
    assert not re.search(r"/(work|home|root|Users)/", read(page))


def test_every_setting_is_in_the_reference() -> None:
    said = read(REFERENCE / "settings.md")
    for field in Settings.model_fields.values():
        assert f"| `{field.alias}` |" in said
    for secret in SECRETS:
        assert f"`{secret}_FILE`" in said


def commands(group: Any, prefix: str = "baton") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


COMMANDS = dict(commands(typer.main.get_command(cli.app)))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_in_the_reference(name: str) -> None:
    said = read(REFERENCE / "cli.md")
    assert re.search(rf"`{name}[ `]", said)
    for parameter in COMMANDS[name].params:
        for option in parameter.opts:
            if option.startswith("--") and option != "--help":
                assert option in said, f"{option} of {name} is not said"


def test_no_command_is_in_the_reference_that_is_not_there() -> None:
    said = set(re.findall(r"(?m)^(?:\| |### )`(baton(?: [a-z]+)+)", read(REFERENCE / "cli.md")))
    assert said == set(COMMANDS)


def test_every_key_of_the_policy_is_in_the_reference() -> None:
    schema = Policy.json_schema()
    said = read(REFERENCE / "policy.md")
    named = {part for code in re.findall(r"`([^`\n]+)`", said) for part in re.split(r"[.\[\]]+", code)}
    for name, part in (schema["$defs"] | {"Policy": schema}).items():
        missing = set(part.get("properties", {})) - named
        assert not missing, f"{missing} of {name}"


def policies() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        blocks = re.findall(r"```yaml\n(.*?)```", read(page), re.DOTALL)
        found += [(f"{page.stem}-{n}", text) for n, text in enumerate(blocks) if text.startswith("version: 1")]
    return found


@pytest.mark.parametrize(("name", "text"), policies(), ids=[name for name, _ in policies()])
def test_every_policy_in_the_documentation_loads(name: str, text: str) -> None:
    assert load(text, f"{name}.yml").stages


def test_pieces_of_policies_load_where_they_belong(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "release.pub").write_bytes((ROOT / "tests" / "fakes" / "signed" / "release.pub").read_bytes())
    head = 'version: 1\nslack: {channel: "#x"}\n'
    gates = re.findall(r"```yaml\n(- \{.*?)```", read(REFERENCE / "gates.md"), re.DOTALL)
    assert len(gates) == 6
    for text in gates:
        listed = "".join(f"      {line}\n" for line in text.splitlines())
        assert (
            load(
                f"{head}stages:\n  - name: a\n  - name: b\n    gates:\n{listed}sources:\n  feast: {{type: feast, url: 'http://f'}}\n",
                str(tmp_path / "baton.yml"),
            )
            .stages[1]
            .gates
        )
    (models,) = re.findall(r"```yaml\n(models:.*?)```", read(REFERENCE / "policy.md"), re.DOTALL)
    policy = load(f"{head}stages: [{{name: a}}]\n{models}")
    assert policy.channel("fraud-legacy", "a") == "#fraud-legacy"
    assert policy.override("fraud-legacy").owner == "bob@example.com"


def test_every_yaml_and_json_block_can_be_read() -> None:
    for page in PAGES:
        for text in re.findall(r"```yaml\n(.*?)```", read(page), re.DOTALL):
            assert yaml.safe_load(text)
        for text in re.findall(r"```json\n(.*?)```", read(page), re.DOTALL):
            assert json.loads(text)


def test_every_direct_dependency_is_in_the_readme_with_a_reason_and_a_licence() -> None:
    project = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    names = {re.match(r"[A-Za-z0-9_.-]+", each)[0] for each in wanted}  # type: ignore[index]
    said = dict(re.findall(r"^\| `([\w.-]+)` \| .+ \| ([^|]+) \|$", read(ROOT / "README.md"), re.MULTILINE))
    assert set(said) == names
    assert all(said.values())


def test_the_drawing_of_the_life_is_the_table() -> None:
    drawn = re.findall(r"^ +(\w+) --> (\w+): (\w+)$", read(REFERENCE / "lifecycle.md"), re.MULTILINE)
    assert sorted(drawn) == sorted((a.value, b.value, event.value) for (a, event), b in TRANSITIONS.items())
    assert set(re.findall(r"^ +(\w+) --> \[\*\]$", read(REFERENCE / "lifecycle.md"), re.MULTILINE)) == set(ENDS)
    assert set(re.findall(r"^\| `(\w+)` \| ", read(REFERENCE / "lifecycle.md"), re.MULTILINE)) == set(State)


def test_every_call_of_the_api_is_in_the_reference() -> None:
    routes = re.findall(r'"(GET|POST)", "(/[^"]*)"', read(ROOT / "bot" / "http" / "api.py"))
    assert len(routes) > 10
    said = read(REFERENCE / "http.md").replace("{P-n}", "{promotion}")
    for method, path in routes:
        assert re.search(rf"{method} /api/v1{re.escape(path)}[`? ]", said), f"{method} {path} is not said"


def hook(**data: Any) -> bytes:
    model = {"name": "fraud-detector", "version": "7", "digest": "sha256:aa"}
    return json.dumps({"data": {"model": model, "stage": "production", "seq": 1000, **data}}).encode()


def test_the_receiver_does_a_signed_act_once(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = module("receiver.py", monkeypatch)
    done: list[dict[str, Any]] = []
    monkeypatch.setattr(receiver, "deploy", done.append)
    secrets, now = parse_secrets(f"{SECRET} another"), datetime.now(UTC)
    headers = sign(secrets, "baton_1", now, hook())
    assert receiver.take(headers, hook()) == (200, {"state": "succeeded"})
    assert receiver.take(headers, hook()) == (200, {"state": "succeeded"})
    assert len(done) == 1


@pytest.mark.parametrize("wrong", ["body", "secret", "time", "unsigned"])
def test_the_receiver_refuses_what_is_not_signed_well(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    receiver = module("receiver.py", monkeypatch)
    monkeypatch.setattr(receiver, "deploy", lambda _: pytest.fail("it was done"))
    at = datetime(2020, 1, 1, tzinfo=UTC) if wrong == "time" else datetime.now(UTC)
    headers = sign(parse_secrets("other" if wrong == "secret" else SECRET), "baton_1", at, hook())
    body = hook(stage="staging") if wrong == "body" else hook()
    assert receiver.take({} if wrong == "unsigned" else headers, body)[0] == 401


def test_the_receiver_ignores_an_older_act(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = module("receiver.py", monkeypatch)
    secrets, now = parse_secrets(SECRET), datetime.now(UTC)
    for key, seq, status in (("new", 2000, 200), ("old", 1000, 409), ("newer", 3000, 200)):
        body = hook(seq=seq)
        assert receiver.take(sign(secrets, key, now, body), body)[0] == status


def test_a_report_of_the_sample_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = module("report.py", monkeypatch)
    sent: list[Any] = []

    def urlopen(request: Any, timeout: float) -> Any:
        sent.append(request)
        raise ConnectionError(str(timeout))

    monkeypatch.setattr(reporter.urllib.request, "urlopen", urlopen)
    url = "https://baton.example.com/api/v1/deployments/D-2/status"
    with pytest.raises(ConnectionError):
        reporter.report({"deployment": "D-2", "callback_url": url}, "succeeded", "done")
    (request,) = sent
    named = verify(parse_secrets(SECRET), dict(request.header_items()), request.data, datetime.now(UTC))
    assert (named, request.full_url) == ("report-D-2-succeeded", url)


def test_the_secret_that_the_reference_makes_is_one() -> None:
    (code,) = re.findall(r'`python -c "(import base64.*?)"`', read(REFERENCE / "hooks.md"))
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert parse_secrets(made)[0].key == base64.b64decode(made.removeprefix("whsec_"))


def merged(base: Any, over: Any) -> Any:
    """`over` put into `base`; lists member by member."""
    if isinstance(base, dict) and isinstance(over, dict):
        return base | {key: merged(base.get(key), value) for key, value in over.items()}
    if isinstance(base, list) and isinstance(over, list):
        return [merged(*pair) for pair in zip(base, over, strict=True)]
    return over


def test_the_manifest_for_http_is_one_that_slack_takes(tmp_path: Path) -> None:
    (over,) = samples("manifest-http.yml")
    whole = merged(yaml.safe_load(read(ROOT / "manifest.yml")), yaml.safe_load(over))
    path = tmp_path / "manifest.yml"
    path.write_text(yaml.safe_dump(whole), encoding="utf-8")
    assert check_manifest(path) == []
