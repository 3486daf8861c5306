"""Files at the local Slack: uploaded in three steps, shown only once they were looked through, kept from strangers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from slack_sdk import WebClient

from bot.local_slack import LocalSlack, Person
from bot.local_slack.methods_files import ALT_TEXT, SCAN_SECONDS
from tests.integration.test_local_slack_web_api import MANIFEST, PROMO, Clock, refusal

Json = dict[str, Any]
PNG = b"\x89PNG\r\n\x1a\n...."


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slack(clock: Clock) -> Iterator[LocalSlack]:
    with LocalSlack(manifest=MANIFEST, clock=clock) as running:
        yield running


@pytest.fixture
def client(slack: LocalSlack) -> WebClient:
    return WebClient(slack.bot_token, base_url=slack.api_url)


def image(file: str) -> Json:
    return {"type": "image", "slack_file": {"id": file}, "alt_text": "chart"}


def test_a_picture_is_shown_once_slack_has_looked_through_it(
    slack: LocalSlack, client: WebClient, clock: Clock
) -> None:
    done = client.files_upload_v2(filename="chart.png", content=PNG, title="Chart", alt_txt="a chart")
    file = done["files"][0]["id"]
    known = client.files_info(file=file)["file"]
    assert (known["mimetype"], known["alt_txt"], known["title"]) == ("", "a chart", "Chart")
    too_early = refusal(client.chat_postMessage, channel=PROMO, text="x", blocks=[image(file)])
    assert too_early["error"] == "invalid_blocks"
    assert "invalid slack file" in too_early["response_metadata"]["messages"][0]

    clock.now += SCAN_SECONDS
    assert client.files_info(file=file)["file"]["mimetype"] == "image/png"
    ts = client.chat_postMessage(channel=PROMO, text="x", blocks=[image(file)])["ts"]
    assert client.chat_update(channel=PROMO, ts=ts, text="y", blocks=[image(file)])["ok"]
    in_context = {"type": "context", "elements": [image(file)]}
    assert client.chat_postMessage(channel=PROMO, text="x", blocks=[in_context])["ok"]

    page = client.files_upload_v2(filename="page.html", content="<p>", title="Page")["files"][0]["id"]
    clock.now += SCAN_SECONDS
    for wrong in (page, "F00000000"):
        answer = refusal(client.chat_postMessage, channel=PROMO, text="x", blocks=[image(wrong)])
        assert "invalid slack file" in answer["response_metadata"]["messages"][0]


def test_a_view_shows_only_pictures_that_there_are(slack: LocalSlack, client: WebClient, clock: Clock) -> None:
    file = client.files_upload_v2(filename="chart.png", content=PNG)["files"][0]["id"]
    home = {"type": "home", "blocks": [image(file)]}
    wrong = refusal(client.views_publish, user_id="U02BOB", view=home)
    assert wrong["error"] == "invalid_arguments"
    assert "invalid slack file" in wrong["response_metadata"]["messages"][0]
    clock.now += SCAN_SECONDS
    assert client.views_publish(user_id="U02BOB", view=home)["ok"]
    with Person(slack.url, "U02BOB") as bob:
        assert bob.home()["blocks"][0]["slack_file"] == {"id": file}


def test_a_private_address_answers_only_the_app(slack: LocalSlack, client: WebClient, clock: Clock) -> None:
    done = client.files_upload_v2(filename="my chart.png", content=PNG)
    clock.now += SCAN_SECONDS
    url = client.files_info(file=done["files"][0]["id"])["file"]["url_private"]
    for token in ("", "Bearer xoxb-nobody"):
        answer = httpx.get(url, headers={"authorization": token} if token else {}, trust_env=False)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert PNG not in answer.content
    proof = {"authorization": f"Bearer {slack.bot_token}"}
    assert httpx.get(url, headers=proof, trust_env=False).content == PNG
    slack.web.api.scopes.discard("files:read")
    assert httpx.get(url, headers=proof, trust_env=False).content != PNG
    assert refusal(client.files_info, file=done["files"][0]["id"])["error"] == "missing_scope"


def test_an_upload_says_how_long_it_is_and_not_too_much_about_it(client: WebClient) -> None:
    for wrong in ({"filename": "a.png", "length": 0}, {"filename": "", "length": 3}):
        assert refusal(client.files_getUploadURLExternal, **wrong)["error"] == "invalid_arguments"
    long = {"filename": "a.png", "length": 3, "alt_txt": "x" * (ALT_TEXT + 1)}
    assert refusal(client.files_getUploadURLExternal, **long)["error"] == "alt_txt_too_large"
    begun = client.files_getUploadURLExternal(filename="a.png", length=3)
    assert httpx.post(begun["upload_url"], content=b"four", trust_env=False).status_code == 400
    assert refusal(client.files_completeUploadExternal, files=[{"id": begun["file_id"]}])["error"] == "invalid_upload"
    assert httpx.post(begun["upload_url"], content=b"abc", trust_env=False).text == "OK - 3"
    assert client.files_completeUploadExternal(files=[{"id": begun["file_id"], "title": "A"}])["ok"]
    assert httpx.post(begun["upload_url"], content=b"abc", trust_env=False).status_code == 404
