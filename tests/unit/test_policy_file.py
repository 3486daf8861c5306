"""What a policy file may say, and the one sentence for everything that it may not."""

from __future__ import annotations

import json
from datetime import time, timedelta

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.policy import durations
from core.policy.document import read
from core.policy.load import PolicyError, load, load_file, missing_secrets
from core.policy.schema import EXAMPLE, Policy, Stage

BASE = """\
version: 1
slack:
  channel: "#ml-promotions"
groups:
  ml-leads: [U01ALICE, bob@example.com]
  risk: ["@risk-team"]
stages:
  - name: development
  - name: production
    requires: [development]
    gates:
      - {metric: auc, at_least: 0.90}
    approvals:
      quorum: 2
      from:
        - {group: ml-leads, at_least: 1}
        - {group: risk}
    deploy: {target: hook}
    rollback: {allowed: [ml-leads]}
targets:
  hook: {type: webhook, url: "http://127.0.0.1:9000/deploy", secret_env: HOOK_SECRET}
"""

#: Section 4 of the contract.
WHOLE = """\
version: 1
slack:
  channel: "#ml-promotions"            # name or id; a stage or a model may name its own
  digest: {at: "09:00", days: mon-fri, timezone: Europe/Berlin}
groups:                                # who people are; ids, e-mail addresses or Slack user groups
  ml-leads: [U01ALICE, bob@example.com]
  risk: ["@risk-team"]
  on-call: [U01ALICE]
stages:                                # in order; the first is where versions arrive
  - name: development
  - name: staging
    requires: [development]
    gates:
      - {metric: auc, at_least: 0.85}
    approvals: {automatic: true}       # every gate passed: nobody is asked
    deploy: {target: staging-hook}
  - name: production
    requires: [staging]
    soak: 24h                          # continuous time in a required stage
    gates:
      - {metric: auc, at_least: 0.90}
      - {metric: auc, compared_to: champion, no_worse_by: 0.005}
      - {metric: latency_p99_ms, at_most: 50, lower_is_better: true}
      - {metric: auc, slice: "country=DE", compared_to: champion, no_worse_by: 0.02}
      - {lineage: [data, code]}
      - {same_dataset: true}           # candidate and champion were measured on one dataset digest
      - {metric: fairness_gap, at_most: 0.1, lower_is_better: true, advisory: true}   # shown, never decides
    approvals:
      quorum: 2                        # distinct people
      from:
        - {group: ml-leads, at_least: 1}
        - {group: risk, at_least: 1}
      exclude: [requester, trainer]    # the default
      expires: 72h
      remind: [24h, 48h]
      escalate: {after: 48h, to: on-call}
    freeze:
      - {name: weekend, rrule: "FREQ=WEEKLY;BYDAY=SA,SU", duration: 24h, timezone: Europe/Berlin}
      - {name: year end, from: 2026-12-20, until: 2027-01-04}
    deploy: {target: prod-hook, timeout: 15m}
    rollout:
      strategy: canary                 # all_at_once (default), canary, blue_green
      steps: [{traffic: 5, hold: 30m}, {traffic: 25, hold: 1h}, {traffic: 100}]
      analysis:
        source: prometheus
        interval: 1m
        metrics:
          - {name: error_rate, query: '…{{version}}…', at_most: 0.02, failure_limit: 0, inconclusive_limit: 3}
          - {name: errors, bad: '…', total: '…', compared_to: champion}      # sequential test on counts
    verify: {for: 30m}                 # watch after full traffic before the champion changes hands
    rollback: {allowed: [ml-leads, on-call], on_alert: ask}   # auto, ask, notify
models:                                # overrides, by name or glob
  fraud-*: {owner: U02BOB, channel: "#fraud-ml", registry: mlflow, write_back: alias}
bundles:
  search: {members: [embedder, ranker], order: [[embedder, ranker]]}
targets:
  staging-hook: {type: webhook, url: "http://127.0.0.1:9000/deploy", secret_env: HOOK_SECRET}
  prod-hook: {type: webhook, url: "https://deploy.example.com/hook", secret_env: HOOK_SECRET}
  prod-gha: {type: github_actions, repo: acme/serving, workflow: deploy.yml, ref: main, token_env: GITHUB_TOKEN}
  prod-jenkins: {type: jenkins, url: "https://ci.example.com", job: deploy, user: baton, token_env: JENKINS_TOKEN}
  prod-gitlab: {type: gitlab, project: acme/serving, token_env: GITLAB_TOKEN}
registries:
  mlflow: {type: mlflow, url: "http://mlflow:5000", poll: 60s, webhook_secret_env: MLFLOW_WEBHOOK_SECRET}
  sagemaker: {type: sagemaker, region: eu-central-1}
sources:
  prometheus: {type: prometheus, url: "http://prometheus:9090"}
alerts:
  alertmanager: {type: alertmanager, token_env: ALERT_TOKEN}
"""


def findings(text: str) -> list[str]:
    with pytest.raises(PolicyError) as refused:
        load(text)
    return [str(finding) for finding in refused.value.findings]


def edited(old: str, new: str) -> str:
    assert BASE.count(old) == 1, old
    return BASE.replace(old, new)


# -- what it may say -------------------------------------------------------------------------------------------


def test_the_whole_of_the_contract_is_understood() -> None:
    policy = load(WHOLE)
    production = policy.stage("production")
    assert production is not None
    assert production.soak == timedelta(hours=24)
    assert production.approvals is not None
    assert production.approvals.escalate is not None
    assert [step.traffic for step in production.rollout.steps] == [5, 25, 100]
    assert [freeze.name for freeze in production.freeze] == ["weekend", "year end"]
    assert policy.override("fraud-detector").owner == "U02BOB"
    assert policy.slack.digest is not None
    assert (policy.slack.digest.at, policy.slack.digest.weekdays) == (time(9), (0, 1, 2, 3, 4))


def test_a_key_that_asks_for_nothing_is_not_refused() -> None:
    assert load(BASE + "bundles: {}\nsources: {}\n").digest == load(BASE).digest


def test_the_example_that_init_writes_loads_under_this_release() -> None:
    policy = load(EXAMPLE)
    assert policy.stage_names[0] == policy.first_stage.name
    assert policy.text == EXAMPLE
    assert all(stage.approvals is not None for stage in policy.stages[1:])


def test_stages_are_kept_with_a_promotion_and_come_back_the_same() -> None:
    for stage in Policy.model_validate(read(WHOLE, "baton.yml").value).stages:
        assert Stage.from_rules(json.loads(json.dumps(stage.rules()))) == stage


def test_kept_rules_write_their_defaults_out_so_that_no_release_changes_them() -> None:
    stage = load(BASE).stages[1]
    assert stage.rules()["approvals"]["expires"] == "3d"
    assert stage.rules()["approvals"]["exclude"] == ["requester", "trainer"]
    assert stage.rules()["deploy"] == {"target": "hook", "timeout": "15m"}


def test_deploy_none_says_outright_what_is_so_without_it() -> None:
    said, silent = (
        load(edited("deploy: {target: hook}", "deploy: none")),
        load(edited("    deploy: {target: hook}\n", "")),
    )
    assert said.stages[1].deploy is None
    assert said.digest == silent.digest
    with pytest.raises(PolicyError, match="is not a mapping; write keys and their values"):
        load(edited("deploy: {target: hook}", "deploy: nobody"))
    assert jsonschema.Draft202012Validator(Policy.json_schema()).is_valid(
        read(edited("deploy: {target: hook}", "deploy: none"), "baton.yml").value
    )


def test_the_digest_changes_with_what_is_said_and_not_with_how() -> None:
    policy = load(BASE)
    assert len(policy.digest) == 64
    assert load("# a comment\n" + edited("quorum: 2", "expires: 72h\n      quorum: 2")).digest == policy.digest
    assert load(edited("at_least: 0.90", "at_least: 0.91")).digest != policy.digest


def test_a_policy_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(BASE).slack.channel = "#elsewhere"


def test_the_schema_for_editors_accepts_the_contract_and_refuses_a_typing_mistake() -> None:
    schema = Policy.json_schema()
    validator = jsonschema.Draft202012Validator(schema)
    assert not list(validator.iter_errors(read(WHOLE, "baton.yml").value))
    assert list(validator.iter_errors({**read(BASE, "baton.yml").value, "stagse": []}))


def test_the_channel_is_the_models_else_the_stages_else_the_policys() -> None:
    text = edited("- name: production", '- name: production\n    channel: "#prod"') + (
        'models:\n  fraud-*: {channel: "#fraud"}\n  fraud-eu-*: {channel: C0EUROPE}\n  fraud-eu-1: {owner: U02BOB}\n'
    )
    policy = load(text)
    assert policy.channel("churn", "development") == "#ml-promotions"
    assert policy.channel("churn", "production") == "#prod"
    assert policy.channel("fraud-us", "production") == "#fraud"
    assert policy.channel("fraud-eu-2", "production") == "C0EUROPE"
    assert policy.override("fraud-eu-1").owner == "U02BOB"
    assert policy.channel("fraud-eu-1", "production") == "C0EUROPE"
    assert policy.channel("nobody", "nowhere") == "#ml-promotions"


def test_unquoted_times_dates_and_words_mean_what_they_look_like() -> None:
    text = edited('channel: "#ml-promotions"', "channel: ml-promotions\n  digest: {at: 09:00, days: [mon, sat-sun]}")
    policy = load(text)
    assert policy.slack.channel == "#ml-promotions"
    assert policy.slack.digest is not None
    assert policy.slack.digest.at == time(9)
    assert policy.slack.digest.days == ("mon", "sat", "sun")
    assert policy.slack.digest.when_nothing == "line"
    assert (
        load(edited("slack:", "slack: &here") + "models: {no: {channel: C0NORWAY}}\n").override("no").channel
        == "C0NORWAY"
    )


def test_anchors_and_merge_keys_work() -> None:
    text = edited(
        "      - {metric: auc, at_least: 0.90}",
        "      - &auc {metric: auc, at_least: 0.90}\n      - {<<: *auc, slice: de}",
    )
    gates = load(text).stages[1].gates
    assert [gate.model_dump(exclude_defaults=True) for gate in gates] == [
        {"metric": "auc", "at_least": 0.9},
        {"metric": "auc", "at_least": 0.9, "slice": "de"},
    ]


def test_missing_secrets_are_findings_and_a_file_will_do() -> None:
    policy = load(BASE)
    assert [str(each) for each in missing_secrets(policy, {})] == [
        "baton.yml:21: targets.hook.secret_env: HOOK_SECRET is not set; set HOOK_SECRET, or HOOK_SECRET_FILE to the path "
        "of a file with the secret."
    ]
    assert not missing_secrets(policy, {"HOOK_SECRET": "whsec_x"})
    assert not missing_secrets(policy, {"HOOK_SECRET_FILE": "/run/secrets/hook"})


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10**8))
def test_every_duration_reads_back_as_the_same(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert durations.parse(durations.text(duration)) == duration


# -- whatever else it is -------------------------------------------------------------------------------------------


def test_a_file_that_is_not_there_or_no_text_is_a_finding(tmp_path) -> None:
    with pytest.raises(PolicyError, match=r"baton\.yml:1: the file cannot be read \(No such file or directory\)"):
        load_file(tmp_path / "baton.yml")
    (tmp_path / "latin.yml").write_bytes(b"version: \xe4")
    with pytest.raises(PolicyError, match="not text in UTF-8"):
        load_file(tmp_path / "latin.yml")
    (tmp_path / "bom.yml").write_bytes(b"\xef\xbb\xbf" + BASE.encode())
    assert load_file(tmp_path / "bom.yml").digest == load(BASE).digest


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=12, deadline=None)  # each parses a whole file
@given(st.data())
def test_no_value_anywhere_brings_anything_but_findings_with_a_line(data: st.DataObject) -> None:
    """Any value of a whole file is replaced by junk; JSON is YAML, so the file is written as JSON."""
    content = read(WHOLE, "baton.yml").value
    here = content
    while True:
        steps = sorted(here) if isinstance(here, dict) else list(range(len(here)))
        step = data.draw(st.sampled_from(steps))
        if not isinstance(here[step], dict | list) or not here[step] or data.draw(st.integers(0, 3)) == 0:
            here[step] = data.draw(JUNK)
            break
        here = here[step]
    text = json.dumps(content, indent=1)
    try:
        load(text)  # an empty list of what may be left out is no mistake
    except PolicyError as refused:
        findings = refused.findings
    else:
        findings = ()
    for finding in findings:
        assert 1 <= finding.line <= text.count("\n") + 1
        assert "\n" not in str(finding)
        assert str(finding).endswith(".")
