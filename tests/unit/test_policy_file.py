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
from core.policy.not_yet import NOT_YET
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


def test_the_whole_of_the_contract_is_understood_even_where_it_is_not_carried_out_yet() -> None:
    policy = Policy.model_validate(read(WHOLE, "baton.yml").value)
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


def test_what_is_not_carried_out_yet_is_refused_with_its_line_and_nothing_else_is() -> None:
    lines = WHOLE.splitlines()
    said = findings(WHOLE)
    assert len(said) == 16
    assert said[0] == "baton.yml:19: stages[2].soak: this release does not carry out soak times yet; remove it."
    assert all("this release does not carry out" in each for each in said)
    for each in said:
        key = each.split(": ")[1].rpartition(".")[2].partition("[")[0]
        assert key in lines[int(each.split(":")[1]) - 1]


def test_every_entry_of_the_table_is_reached_by_the_contracts_own_example() -> None:
    said = " ".join(findings(WHOLE))
    assert all(entry.what in said for entry in NOT_YET)


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


# -- what it may not say -----------------------------------------------------------------------------------------

WRONG = [
    # keys and kinds
    ("version: 1", "version: 2", '1: version: 2 is not known here; write 1'),
    ("slack:", "slak:", "1: slack: is missing; add slack: {channel: \"#ml-promotions\"}"),
    ("    approvals:", "    aprovals:", "13: stages[1].aprovals: this key is not known; write approvals, or remove it"),
    ("quorum: 2", "qourum: 2", "14: stages[1].approvals.qourum: this key is not known; write quorum, or remove it"),
    ("type: webhook", "type: webhok", '21: targets.hook.type: "webhok" is not a known type; write one of webhook, github_actions, jenkins, gitlab'),
    ("type: webhook, ", "", "21: targets.hook: type is missing; add one of webhook, github_actions, jenkins, gitlab"),
    ("type: webhook, ", "type: webhook, retries: 3, ", "21: targets.hook.retries: this key is not known; remove it (known are secret_env, type, url)"),
    ("quorum: 2", "quorum: 2\n      quorum: 1", "15: stages[1].approvals.quorum: is written twice, first on line 14; keep one of them"),
    ("requires: [development]", "requires: development", '10: stages[1].requires: "development" is not a list; write a list, such as [one, two]'),
    ("deploy: {target: hook}", "deploy: hook", '18: stages[1].deploy: "hook" is not a mapping; write keys and their values'),
    ("deploy: {target: hook}", "deploy: {}", "18: stages[1].deploy.target: is missing; add the name of one of the targets"),
    # scalars
    ('channel: "#ml-promotions"', "channel: #ml-promotions", '3: slack.channel: is empty; write a channel in quotes, such as "#ml-promotions" (without them, # begins a comment)'),
    ('channel: "#ml-promotions"', 'channel: "ML Promotions"', '3: slack.channel: "ML Promotions" is not the name or id of a channel; write one such as "#ml-promotions" or C0123456789'),
    ("at_least: 0.90", "at_least: high", '12: stages[1].gates[0].at_least: "high" is not a number; write a number such as 0.90'),
    ("at_least: 0.90", 'at_least: "0.9"', '12: stages[1].gates[0].at_least: "0.9" is text, not a number; write it without quotes'),
    ("at_least: 0.90", "at_least: true", "12: stages[1].gates[0].at_least: true is not a number; write a number such as 0.90"),
    ("at_least: 0.90", "at_least: .nan", "12: stages[1].gates[0].at_least: .nan is not a finite number; write a number such as 0.90"),
    ("at_least: 0.90", "at_least: -.inf", "12: stages[1].gates[0].at_least: -.inf is not a finite number; write a number such as 0.90"),
    ("at_least: 0.90", "at_least: 1e999", "12: stages[1].gates[0].at_least: .inf is not a finite number; write a number such as 0.90"),
    ("quorum: 2", "quorum: 0", "14: stages[1].approvals.quorum: 0 is not a whole number from 1 to 100; write a number such as 1"),
    ("quorum: 2", "quorum: 1.5", "14: stages[1].approvals.quorum: 1.5 is not a whole number from 1 to 100; write a number such as 1"),
    ("quorum: 2", "expires: 3 days", '14: stages[1].approvals.expires: "3 days" is not a duration; write a number with s, m, h or d, such as 30s, 15m, 24h or 3d'),
    ("quorum: 2", "expires: 72", "14: stages[1].approvals.expires: 72 has no unit; write s, m, h or d behind it, such as 72m"),
    ("quorum: 2", "expires: 0h", '14: stages[1].approvals.expires: "0h" is no time at all; write a longer duration, such as 15m'),
    ("quorum: 2", "exclude: [requestor]", '14: stages[1].approvals.exclude[0]: "requestor" is not known here; write requester or trainer'),
    ("U01ALICE", "alice", '5: groups.ml-leads[0]: "alice" is nobody\'s id, e-mail address or user group; write an id such as U01ALICE, an e-mail address, or a user group in quotes such as "@risk-team"'),
    ("slack:", "slack:\n  digest: {at: 25:00}", '3: slack.digest.at: "25:00" is not a time of day; write one such as "09:00"'),
    ("slack:", "slack:\n  digest: {at: 9:00, days: weekdays}", '3: slack.digest.days: "weekdays" names no days; write days such as mon-fri, or [mon, thu]'),
    ("slack:", "slack:\n  digest: {at: 9:00, timezone: berlin}", '3: slack.digest.timezone: "berlin" is not a time zone; write one such as Europe/Berlin'),
    ("slack:", "slack:\n  digest: {at: 9:00, timezone: ../../etc/passwd}", '3: slack.digest.timezone: "../../etc/passwd" is not a time zone; write one such as Europe/Berlin'),
    ("http://127", "ftp://127", "21: targets.hook.url: is not an http or https address; write one such as https://deploy.example.com/hook"),
    ("http://127", "http://user:pass@127", "21: targets.hook.url: holds a user name or password; remove it; secrets belong into environment variables"),
    ("HOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "21: targets.hook.secret_env: is not the name of an environment variable; write the variable's name, such as HOOK_SECRET, and never the secret itself"),
    ("- name: production", '- name: "pro\\u202educ"', '9: stages[1].name: "pro\ufffdduc" has control characters or blanks at its ends; write only what can be seen'),
    ("- name: production", "- name: two words", '9: stages[1].name: "two words" has a blank or a slash, and could not be typed in a command; write one word, such as pre-production'),
    ("- name: production", f"- name: {'x' * 81}", "9: stages[1].name: has 81 characters; write a name of at most 80"),
    ("- name: production", "- name: 2024", "9: stages[1].name: 2024 is not text; put it in quotes"),
    # gates
    ("{metric: auc, at_least: 0.90}", "{metric: auc}", "12: stages[1].gates[0]: asks for nothing; add at_least, at_most or compared_to: champion"),
    ("{metric: auc, at_least: 0.90}", "{at_least: 0.9}", "12: stages[1].gates[0]: has none of metric, lineage, same_dataset; write a gate such as {metric: auc, at_least: 0.90}"),
    ("{metric: auc, at_least: 0.90}", "{metric: a, lineage: [data]}", "12: stages[1].gates[0]: mixes metric and lineage; write a gate for each"),
    ("{metric: auc, at_least: 0.90}", "{lineage: []}", "12: stages[1].gates[0].lineage: is empty; write at least 1"),
    ("{metric: auc, at_least: 0.90}", "{same_dataset: false}", "12: stages[1].gates[0].same_dataset: false is not known here; write true"),
    ("{metric: auc, at_least: 0.90}", "auc", '12: stages[1].gates[0]: "auc" is not a gate; write one such as {metric: auc, at_least: 0.90}'),
    ("at_least: 0.90", "at_least: 2, at_most: 1", "12: stages[1].gates[0].at_least: is above at_most, 1.0, so nothing could pass; lower it"),
    ("at_least: 0.90", "at_least: 2, no_worse_by: 1", "12: stages[1].gates[0].no_worse_by: says nothing without a comparison; add compared_to: champion, or remove it"),
    ("at_least: 0.90", "compared_to: champion, no_worse_by: -1", "12: stages[1].gates[0].no_worse_by: -1 is below zero; write how much worse is still good enough, such as 0.005"),
    ("at_least: 0.90", "at_most: 9, compared_to: champion", "12: stages[1].gates[0]: has a ceiling and a comparison; say which way is better: lower_is_better: true, or false"),
    ("at_least: 0.90", "at_least: 0.9, advisory: maybe", '12: stages[1].gates[0].advisory: "maybe" is not true or false; write true or false'),
    # the parts against each other
    ("{group: risk}", "{group: riks}", '17: stages[1].approvals.from[1].group: there is no group "riks"; write risk, or define it'),
    ("{group: risk}", "{group: ml-leads}", '17: stages[1].approvals.from[1].group: "ml-leads" is named twice; name each group once'),
    ("allowed: [ml-leads]", "allowed: [sre]", '19: stages[1].rollback.allowed[0]: there is no group "sre"; define it, or name one of ml-leads, risk'),
    ("{target: hook}", "{target: elsewhere}", '18: stages[1].deploy.target: there is no target "elsewhere"; define it, or name one of hook'),
    ("requires: [development]", "requires: [staging]", '10: stages[1].requires[0]: there is no stage "staging"; define it, or name one of development, production'),
    ("requires: [development]", "requires: [production]", "10: stages[1].requires[0]: a stage cannot require itself; name an earlier stage"),
    ("- name: production", "- name: development", '9: stages[1].name: there is another stage "development" above; name each stage once'),
    ("- name: development", "- name: development\n    deploy: {target: hook}", '9: stages[0].deploy: versions arrive in "development" by being registered, so this would never act; remove it, or put a stage such as development before this one'),
    ('["@risk-team"]', "[U03CAROL]\nmodels: {a: {owner: U1}}", '7: models.a.owner: "U1" is nobody\'s id, e-mail address or user group; write an id such as U01ALICE, an e-mail address, or a user group in quotes such as "@risk-team"'),
    ('["@risk-team"]', "[U01ALICE]\n#", None),
    ("quorum: 2", "automatic: true", "15: stages[1].approvals.from: says nothing where approvals are automatic; remove it, or automatic: true"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "sentence"), WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_every_mistake_has_one_sentence_with_its_line(old: str, new: str, sentence: str | None) -> None:
    text = edited(old, new)
    if sentence is None:
        assert load(text)
    else:
        assert f"baton.yml:{sentence}." in findings(text)


def test_a_quorum_that_nobody_could_fill_is_refused_where_all_members_are_people() -> None:
    text = edited("quorum: 2", "quorum: 4")
    assert load(text)  # how many the user group holds, Slack knows
    people = text.replace('["@risk-team"]', "[U03CAROL]")
    assert findings(people) == [
        "baton.yml:14: stages[1].approvals.quorum: 4 people must approve, and ml-leads and risk name 3 together; "
        "lower it, or add people to the groups."
    ]


def test_seats_that_only_one_person_could_fill_are_refused() -> None:
    text = edited("[U01ALICE, bob@example.com]", "[U01ALICE]").replace('["@risk-team"]', "[U01ALICE, U03CAROL]")
    text = text.replace("{group: risk}", "{group: risk, at_least: 2}")
    assert findings(text) == [
        'baton.yml:17: stages[1].approvals.from[1].at_least: 2 of "risk" must approve, and its people do not suffice; '
        "lower it, or add people to the group."
    ]


def test_a_stage_cannot_require_a_later_one() -> None:
    text = edited("- name: development", "- name: development\n  - name: canary\n    requires: [production]")
    assert findings(text) == [
        'baton.yml:10: stages[1].requires[0]: "production" comes later than "canary"; name an earlier stage, or reorder '
        "them."
    ]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    text = (
        edited("quorum: 2", "quorum: many").replace("at_least: 0.90", "at_leest: 0.90")
        + "bundles: {a: {members: [b]}}\n"
    )
    assert [each.split(":")[1] for each in findings(text)] == ["12", "14", "22"]


def test_no_secret_is_repeated_in_a_finding() -> None:
    for text in (
        edited("secret_env: HOOK_SECRET", "secret_env: whsec_hunter2, token: hunter2"),
        edited("http://127", "http://x:hunter2@127"),
        edited("secret_env: HOOK_SECRET", "secret_env: [hunter2]").replace("type: webhook", "type: gitlab"),
    ):
        assert "hunter2" not in "\n".join(findings(text))


SYNTAX = [
    ("a: b: c", "1: a colon stands where none may; mend the indentation, or write the text in quotes"),
    ("a:\n\tb: 1", "2: a tab is used to indent; indent with blanks"),
    ("a: @risk-team", '1: a value that begins with @ is not in quotes; write it in quotes, such as "@risk-team"'),
    ("a: [b\nc: d", "2: a [ is not closed, or a comma is missing; close it with ]"),
    ("a: {channel: #x}", "1: a { or [ is not closed (without quotes, # begins a comment); close it, or write the text in quotes"),
    ('a: "b', "1: a quote is not closed; close it"),
    ("a: *b", "1: an alias names no anchor; define the anchor above it"),
    ("a: 1\n---\nb: 2", "2: a second document begins; keep one, and remove the line ---"),
    ("a: !!python/name:os.system", '1: a: the tag "tag:yaml.org,2002:python/name:os.system" means nothing here; remove it'),
    ("a: &a [*a]", "1: a[0]: holds itself by an alias; write it out without aliases"),
    ("a: {<<: 3}", "1: a.<<: merges something that is not another mapping; name the anchor of a mapping"),
    ("a: 1\nb: \x07", "2: the character U+0007 cannot be used; remove it"),
    ("a: " + "[" * 50, "1: the file nests too deeply; write it out flat"),
    ("? [a]\n: 1", "1: a key is a list or a mapping; write text"),
    ("", "1: the file is empty; begin with version: 1, or let baton init write an example"),
    ("# only this\n", "1: the file is empty; begin with version: 1, or let baton init write an example"),
    ("- a", "1: the file is not a mapping; begin with version: 1, or let baton init write an example"),
    ("#" * 1_000_001, "1: the file is larger than 1 MB; a policy is a few pages long"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), SYNTAX, ids=[str(i) for i in range(len(SYNTAX))])
def test_what_is_no_yaml_is_told_with_its_line(text: str, sentence: str) -> None:
    assert findings(text) == [f"baton.yml:{sentence}."]


def test_a_file_that_would_unfold_into_a_billion_values_is_refused_at_once() -> None:
    bomb = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(9)
    )
    assert "unfolds into too many values" in findings(bomb)[0]
    many = "a: &a 1\nb: [" + ", ".join(["*a"] * 300) + "]"
    assert "uses too many aliases" in findings(many)[0]


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
    with pytest.raises(PolicyError) as refused:
        load(text)
    for finding in refused.value.findings:
        assert 1 <= finding.line <= text.count("\n") + 1
        assert "\n" not in str(finding)
        assert str(finding).endswith(".")
