"""files.*: an upload in three steps, and the message that a shared file makes."""

from __future__ import annotations

import mimetypes
import secrets
from urllib.parse import quote

from .cast import BOT_USER
from .methods_chat import by_id, thread_of, told
from .web_api import Api, Method
from .workspace import File, Json, SlackError

#: How long Slack looks through a file before it says what it is, and how long its description may be.
SCAN_SECONDS, ALT_TEXT = 0.2, 1000


def upload_url(api: Api, args: Json) -> Json:
    """files.getUploadURLExternal."""
    try:
        length = int(args.get("length") or 0)
    except ValueError as error:
        raise SlackError("invalid_arguments") from error
    if not args.get("filename") or length <= 0:
        raise SlackError("invalid_arguments")
    file_id = "F" + secrets.token_hex(5).upper()
    api.workspace.files[file_id] = File(file_id, str(args["filename"]), length)
    alt = str(args.get("alt_txt") or "")
    if len(alt) > ALT_TEXT:
        raise SlackError("alt_txt_too_large")
    api.workspace.files[file_id].alt = alt
    return {"upload_url": f"{api.base_url}/_upload/{file_id}", "file_id": file_id}


def complete_upload(api: Api, args: Json) -> Json:
    """files.completeUploadExternal; shares into a channel when asked. What is shared nowhere Slack looks through first:
    until then its type is not known, and no block can show it.

    Nothing is completed where the channel cannot be shared into.
    """
    given = args.get("files")
    if not isinstance(given, list) or not given or not all(isinstance(entry, dict) for entry in given):
        raise SlackError("invalid_arguments")
    files = [_uploaded(api, str(entry.get("id"))) for entry in given]
    channel = by_id(api, {"channel": args["channel_id"]}) if args.get("channel_id") else None
    if channel is not None and channel.archived:
        raise SlackError("is_archived")
    if channel is not None and BOT_USER not in channel.members:  # chat:write.public is no way in for files
        raise SlackError("not_in_channel")
    if channel is None and (args.get("thread_ts") or args.get("initial_comment")):
        raise SlackError("invalid_arguments")
    thread = thread_of(channel, args) if channel is not None else None
    for file, entry in zip(files, given, strict=True):
        file.title, file.complete = str(entry.get("title") or file.name), True
        file.mimetype = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        file.known_at = api.workspace.clock() + (0.0 if channel is not None else SCAN_SECONDS)
    done = [file_body(api, file) for file in files]
    if channel is not None:
        text = str(args.get("initial_comment") or "")
        told(api, channel, api.workspace.add(channel, BOT_USER, text, thread_ts=thread, files=done))
    return {"files": done}


def _uploaded(api: Api, file_id: str) -> File:
    file = api.workspace.files.get(file_id)
    if file is None or file.complete:
        raise SlackError("file_not_found")
    if len(file.content) != file.length:
        raise SlackError("invalid_upload")
    return file


def file_body(api: Api, file: File) -> Json:
    """A file as files.info shows it."""
    kind = file.mimetype if file.is_known(api.workspace.clock()) else ""
    body = {"id": file.id, "name": file.name, "title": file.title, "mimetype": kind, "size": file.length}
    body |= {"alt_txt": file.alt} if file.alt else {}
    return body | {"url_private": f"{api.base_url}/files-pri/T0LOCAL-{file.id}/{quote(file.name)}", "user": BOT_USER}


def file_info(api: Api, args: Json) -> Json:
    """files.info."""
    file = api.workspace.files.get(str(args.get("file") or ""))
    if file is None or not file.complete:
        raise SlackError("file_not_found")
    return {"file": file_body(api, file)}


METHODS = {
    "files.getUploadURLExternal": Method(upload_url, ("files:write",), 4),
    "files.completeUploadExternal": Method(complete_upload, ("files:write",), 4),
    "files.info": Method(file_info, ("files:read",), 4),
}
