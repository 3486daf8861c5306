"""The one sentence, with its line, for everything that a policy file may not say."""

from __future__ import annotations

import pytest

from core.policy.load import load
from tests.unit.test_policy_file import edited, findings

WRONG = [
    # keys and kinds
    ("version: 1", "version: 2", '1: version: 2 is not known here; write 1'),
    ("slack:", "slak:", "1: slack: is missing; add slack: {channel: \"#ml-promotions\"}"),
    ("    approvals:", "    aprovals:", "13: stages[1].aprovals: this key is not known; write approvals, or remove it"),
    ("quorum: 2", "qourum: 2", "14: stages[1].approvals.qourum: this key is not known; write quorum, or remove it"),
    ("type: webhook", "type: webhok", '21: targets.hook.type: "webhok" is not a known type; write one of webhook, github_actions, jenkins, gitlab, sagemaker_endpoint'),
    ("type: webhook, ", "", "21: targets.hook: type is missing; add one of webhook, github_actions, jenkins, gitlab, sagemaker_endpoint"),
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
    ("{metric: auc, at_least: 0.90}", "{at_least: 0.9}", "12: stages[1].gates[0]: has none of metric, lineage, same_dataset, signature, model_card, features; write a gate such as {metric: auc, at_least: 0.90}"),
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
    ('["@risk-team"]', "[U03CAROL]\nmodels: {a: {owner: U}}", '7: models.a.owner: "U" is nobody\'s id, e-mail address or user group; write an id such as U01ALICE, an e-mail address, or a user group in quotes such as "@risk-team"'),
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
        + "bundles: {a: {members: []}}\n"
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
