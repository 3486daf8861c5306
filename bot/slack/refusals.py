"""What Slack's refusals mean: gone, out of reach, not us, our own mistake; and how soon it is worth asking again.

https://docs.slack.dev/reference/methods/chat.postMessage#errors, https://docs.slack.dev/reference/methods/chat.update#errors
"""

from __future__ import annotations

from slack_sdk.errors import SlackApiError

#: However often Slack failed, it is asked again this soon: a card must be true again within 5 s of a fault's end.
LONGEST_WAIT = 4.0
#: What only a person can mend, or a new release, is tried ever more rarely, up to this.
RARELY = 300.0
#: The message that was to be edited is not there any more.
DELETED = frozenset({"message_not_found"})
#: It is there, and Slack lets nobody edit it.
FROZEN = frozenset({"edit_window_closed", "cant_update_message", "is_inactive"})
#: The thread that was to be written to has lost its card.
HEADLESS = frozenset({"thread_not_found", "message_not_found", "restricted_action_thread_locked"})
#: After these a post may have happened all the same.
UNCLEAR = frozenset({"fatal_error", "internal_error", "request_timeout", "service_unavailable"})
#: Slack does not know us: whatever else is asked would be answered alike.
UNKNOWN_US = frozenset({"token_revoked", "token_expired", "invalid_auth", "account_inactive", "not_authed"})
#: What was sent is wrong in itself, and will be as long as it stays the same.
OUR_MISTAKE = frozenset(
    {
        "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "no_text", "block_mismatch",
        "only_one_table_allowed", "metadata_too_large", "invalid_metadata_format", "invalid_metadata_schema",
        "too_many_attachments", "attachment_payload_limit_exceeded", "invalid_arguments", "invalid_arg_name",
        "invalid_array_arg", "invalid_charset", "invalid_form_data", "invalid_post_type", "missing_post_type",
        "markdown_text_conflict", "message_limit_exceeded",
    }
)  # fmt: skip
#: There is no way into the channel for now; each with why, and how to mend it.
UNREACHABLE = {
    "channel_not_found": (
        "Slack shows it no such channel: it is private and Baton is not in it, or it was renamed or deleted",
        "Invite Baton there with `/invite @Baton`, or correct {key} in the policy file and restart Baton.",
    ),
    "not_in_channel": ("it is not in it", "Invite it there with `/invite @Baton`."),
    "is_archived": (
        "it is archived",
        "Unarchive it, or name another one as {key} in the policy file and restart Baton.",
    ),
    "restricted_action": (
        "only some people may post there",
        "Allow Baton under the channel's posting permissions, or name another one as {key} in the policy file and "
        "restart Baton.",
    ),
    "team_access_not_granted": (
        "Baton is not installed in its workspace",
        "Have an administrator grant the app that workspace, or name another channel as {key} in the policy file and "
        "restart Baton.",
    ),
}  # fmt: skip
UNREACHABLE |= dict.fromkeys(
    (
        "restricted_action_read_only_channel",
        "restricted_action_thread_only_channel",
        "restricted_action_non_threadable_channel",
        "no_permission",
        "channel_type_not_supported",
    ),
    UNREACHABLE["restricted_action"],
)  # fmt: skip
UNREACHABLE |= dict.fromkeys(("access_denied", "ekm_access_denied"), UNREACHABLE["team_access_not_granted"])
#: For whoever cannot be written to, whether they left or Slack does not let us.
NO_SUCH_PERSON = frozenset({"user_not_found", "user_disabled", "cannot_dm_bot", "messages_tab_disabled"})
#: Slack does not show us what was posted, so a post whose answer was lost cannot be looked for.
CANNOT_LOOK = frozenset(UNREACHABLE) | {"missing_scope", "thread_not_found"}


def code_of(error: SlackApiError) -> str:
    """Slack's word for it, or the status where it said none."""
    return str(error.response.get("error") or error.response.status_code)


def falters(error: Exception) -> bool:
    """Whether what failed may go well a moment later: Slack is away or too busy, rather than saying no."""
    if not isinstance(error, SlackApiError):
        return True
    return code_of(error) in UNCLEAR | {"ratelimited"} or error.response.status_code >= 429


def retry_after(error: SlackApiError) -> float:
    """What Slack asks for, in seconds; 0.0 where it asks for nothing. The header's case is any proxy's choice."""
    headers = {str(name).lower(): str(value) for name, value in (error.response.headers or {}).items()}
    given = headers.get("retry-after", "")
    return float(given) if given.isascii() and given.isdigit() else 0.0


def backoff(attempts: int, longest: float = LONGEST_WAIT) -> float:
    """Seconds until the next try, doubled from one to the next."""
    return float(min(longest, 0.5 * 2 ** min(attempts, 16)))
