"""files.*: an upload in three steps, and the message that a shared file makes."""

from __future__ import annotations

import mimetypes
import secrets

from .cast import BOT_USER
from .methods_chat import by_id, thread_of, told
from .web_api import Api, Method
from .workspace import File, Json, SlackError


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
    return {"upload_url": f"{api.base_url}/_upload/{file_id}", "file_id": file_id}


def complete_upload(api: Api, args: Json) -> Json:
    """files.completeUploadExternal: the type is known only from now on; shares into a channel when asked.

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
    body = {"id": file.id, "name": file.name, "title": file.title, "mimetype": file.mimetype, "size": file.length}
    return body | {"url_private": f"{api.base_url}/_files/{file.id}", "user": BOT_USER}


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
