"""Holes in queries: where they may stand, and that no name gets out of its quotes."""

from __future__ import annotations

import ast
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.policy.queries import LONGEST, BadQuery, fill, parse
from core.policy.rollout import Analysis, AnalysisMetric
from tests.unit.test_policy_file import findings

NAMES = {"version": "7", "model": "fraud detector", "stage": "production", "champion": "6"}


@pytest.mark.parametrize(
    ("query", "filled"),
    [
        ('up{version="{{version}}"}', 'up{version="7"}'),
        ("up{version='{{ version }}'}", "up{version='7'}"),
        ('up{id="{{model}}:{{version}}-{{stage}}"}', 'up{id="fraud detector:7-production"}'),
        ('up{version!="{{champion}}"} # {{ no comment is too late', None),
        ('up{version=~"{{version}}|{{champion}}"}', 'up{version=~"7|6"}'),
        ('up{version = # which "one"?\n "{{version}}"}', 'up{version = # which "one"?\n "7"}'),
        ('up{path=`a"b`, version="{{version}}"}', 'up{path=`a"b`, version="7"}'),
        ('up{path="a\\"b", version="{{version}}"}', 'up{path="a\\"b", version="7"}'),
        ('up{path="{a}"}', 'up{path="{a}"}'),
        ("sum(up) / 2", "sum(up) / 2"),
    ],
)
def test_a_query_is_filled_in(query: str, filled: str | None) -> None:
    if filled is None:
        with pytest.raises(BadQuery, match="where nothing can be filled in"):
            fill(query, NAMES)
    else:
        assert fill(query, NAMES) == filled


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("up{version={{version}}}", 'has {{ where nothing can be filled in; write it in quotes, such as version="{{version}}"'),
        ("{{version}}", 'has {{ where nothing can be filled in; write it in quotes, such as version="{{version}}"'),
        ('up{version="{{version}"}', 'has {{ where nothing can be filled in; write it in quotes, such as version="{{version}}"'),
        ('up{version="\\{{version}}"}', 'has {{ where nothing can be filled in; write it in quotes, such as version="{{version}}"'),
        ('up{version="{{verson}}"}', "{{verson}} is not known; known are {{version}}, {{model}}, {{stage}}, {{champion}}"),
        ('up{version="{{}}"}', "{{}} is not known; known are {{version}}, {{model}}, {{stage}}, {{champion}}"),
        ("up{version=`{{version}}`}", "{{version}} stands in backticks, in which nothing can be escaped; write double quotes"),
        ('label_replace(up, "a", "{{version}}", "b", ".*")', '{{version}} stands where no label is matched; write it as in version="{{version}}"'),
        ('up == "{{version}}"', '{{version}} stands where no label is matched; write it as in version="{{version}}"'),
        ('up{version="{{version}}}', "has a quote that is not closed; close it"),
        ('up{version="{{version}}\n"}', "has a quote that is not closed; close it"),
        ("up{version='{{version}}\"}", "has a quote that is not closed; close it"),
        (" \n", f"is empty; write a PromQL query of at most {LONGEST:,} characters"),
        ("x" * (LONGEST + 1), f"has 5,001 characters; write a PromQL query of at most {LONGEST:,} characters"),
        ("…{{version}}…", "is an outline, with … in it; write the whole query"),
    ],
)  # fmt: skip
def test_a_hole_that_cannot_be_filled_in_safely_is_refused(query: str, problem: str) -> None:
    with pytest.raises(BadQuery) as refused:
        parse(query)
    assert str(refused.value) == problem


def test_a_name_that_nobody_gave_is_not_filled_in_with_nothing() -> None:
    with pytest.raises(KeyError):
        fill('up{version="{{champion}}"}', {"version": "7"})


@given(st.text(min_size=1, max_size=30), st.sampled_from("\"'"))
def test_no_name_gets_out_of_its_quotes_and_each_means_itself(name: str, quote: str) -> None:
    """Python reads these escapes as Go does, so it is the second opinion; the real Prometheus is the third."""
    begin, end = f"up{{version={quote}", f"{quote},code=~{quote}5..{quote}}}"

    filled = fill(f"{begin}{{{{version}}}}{end}", {"version": name})

    inside = filled.removeprefix(begin).removesuffix(end)
    assert re.fullmatch(r"[\w.:/\\ -]*", inside, re.ASCII)
    assert ast.literal_eval(f'"{inside}"') == name


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12), st.text(max_size=12))
def test_behind_a_regex_matcher_a_name_matches_itself_only(name: str, other: str) -> None:
    filled = fill('up{version=~"{{version}}"}', {"version": name})

    pattern = ast.literal_eval('"' + filled.removeprefix('up{version=~"').removesuffix('"}') + '"')
    assert re.fullmatch(pattern, name)
    assert (re.fullmatch(pattern, other) is not None) == (other == name)


# -- in the policy -------------------------------------------------------------------------------------------------


def said(metrics: str, more: str = "") -> list[str]:
    text = (
        'version: 1\nslack: {channel: "#x"}\nsources: {prom: {type: prometheus, url: "http://p:9090"}}\n'
        "stages:\n- name: a\n- name: b\n  rollout:\n    strategy: canary\n    steps: [{traffic: 100}]\n"
        f"    analysis:\n      source: prom\n{more}      metrics:\n{metrics}"
    )
    return [each.partition("metrics")[2] for each in findings(text) if "this release does not" not in each]


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        ("{name: e, query: 'up{{version}}', at_most: 1}", '[0].query: has {{ where nothing can be filled in; write it in quotes, such as version="{{version}}".'),
        ("{name: e, query: up, compared_to: champion}", '[0].query: asks the same of candidate and champion; name the version, as in version="{{version}}".'),
        ("{name: e, query: up}", "[0]: has no bound; add at_least, at_most or compared_to: champion."),
        ("{name: e, bad: up, at_most: 0.1}", "[0]: asks for no number or for two; write either query, or bad and total."),
        ("{name: e, query: up, at_least: 2, at_most: 1}", "[0].at_least: is above at_most, 1.0, so nothing could pass; lower it."),
        ("{name: e, query: up, at_most: 1, no_worse_by: 1}", "[0].no_worse_by: says nothing without a comparison; remove it."),
        ("{name: e, query: up, at_most: 1, first: deny}", "[0].first: says nothing without a comparison; remove it."),
        ("{name: e, query: up, at_most: 1, min_samples: 5}", "[0].min_samples: says nothing of a query; it goes with bad and total; remove it."),
        ("{name: e, query: 'up{v=\"{{version}}\"}', at_most: 1, compared_to: champion}", "[0]: has a ceiling and a comparison; say which way is better: lower_is_better: true, or false."),
        ("{name: e, bad: up, total: up, at_most: 2}", "[0].at_most: is the share of bad requests; write a number such as 0.02."),
        ("{name: e, bad: up, total: up, at_least: 0.1}", "[0].at_least: says nothing of bad requests; write at_most or tolerance; remove it."),
        ("{name: e, bad: 'increase(up[1m])', total: up, at_most: 0.1}", "[0].bad: increase() counts the same requests again at every look; write the counter itself; what was added is counted here."),
        ("{name: e, bad: 'up{v=\"{{version}}\"}', total: 'up{v=\"{{version}}\"}', compared_to: champion, tolerance: 0.9}", "[0].tolerance: is not from 1 to 100; write how many times the champion's rate is allowed."),
        ("{name: e, bad: up, total: up, at_most: 0.1, alpha: 0}", "[0].alpha: is not above 0 and at most 0.5; write a chance such as 0.05."),
        ("{name: e, query: up, at_most: 1, dry_run: true}", ": are all on dry_run, so nothing could decide; let one decide."),
        ("{name: e, query: up, at_most: 1}\n      - {name: e, query: up, at_most: 2}", '[1].name: there is another metric "e" above; name each metric once.'),
    ],
)  # fmt: skip
def test_what_an_analysis_may_not_say_is_refused_with_a_sentence(metric: str, sentence: str) -> None:
    assert said(f"      - {metric}\n") == [sentence]


def test_a_rate_in_a_query_for_one_number_is_fine() -> None:
    metric = AnalysisMetric(name="e", query='rate(errors{v="{{version}}"}[1m])', at_most=0.02)
    assert Analysis(source="prom", metrics=(metric,)).metrics[0].queries == ('rate(errors{v="{{version}}"}[1m])',)
