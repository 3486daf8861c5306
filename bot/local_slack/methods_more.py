"""The other Web API methods: auth, users, user groups, views, sockets."""

from __future__ import annotations

from .cast import APP_ID, BOT_ID, BOT_USER, TEAM_ID, TEAM_NAME, Member, UserGroup
from .web_api import Api, Method, flag, page_of
from .workspace import Json, SlackError


def api_test(_api: Api, args: Json) -> Json:
    """api.test: echoes, or fails with the error asked for."""
    if args.get("error"):
        raise SlackError(str(args["error"]))
    return {"args": {k: v for k, v in args.items() if k != "token"}}


def auth_test(api: Api, _args: Json) -> Json:
    """auth.test."""
    bot = api.workspace.people[BOT_USER]
    return {
        "url": f"{api.base_url}/",
        "team": TEAM_NAME,
        "user": bot.name,
        "team_id": TEAM_ID,
        "user_id": BOT_USER,
        "bot_id": BOT_ID,
        "is_enterprise_install": False,
    }


def open_connection(api: Api, _args: Json) -> Json:
    """apps.connections.open: a one-time WebSocket URL."""
    ticket = api.tickets.socket_ticket()
    return {"url": f"{api.base_url.replace('http', 'ws', 1)}/_socket?ticket={ticket}&app_id={APP_ID}"}


def user_body(api: Api, person: Member) -> Json:
    """An account as users.info shows it; the address only with users:read.email."""
    profile = {"real_name": person.real_name, "display_name": person.name, "team": person.team}
    if person.email and "users:read.email" in api.scopes:
        profile["email"] = person.email
    if person.is_bot:
        profile |= {"bot_id": BOT_ID, "api_app_id": APP_ID}
    return {
        "id": person.id,
        "team_id": person.team,
        "name": person.name,
        "real_name": person.real_name,
        "deleted": person.deleted,
        "color": person.color,
        "tz": person.tz,
        "is_bot": person.is_bot,
        "is_app_user": False,
        "is_admin": False,
        "is_restricted": person.is_guest,
        "is_ultra_restricted": False,
        "profile": profile,
    }


def user_info(api: Api, args: Json) -> Json:
    """users.info."""
    person = api.workspace.people.get(str(args.get("user") or ""))
    if person is None:
        raise SlackError("user_not_found")
    return {"user": user_body(api, person)}


def user_list(api: Api, args: Json) -> Json:
    """users.list."""
    page, more = page_of(list(api.workspace.people.values()), args)
    return {"members": [user_body(api, p) for p in page], "cache_ts": int(api.workspace.clock()), **more}


def user_by_email(api: Api, args: Json) -> Json:
    """users.lookupByEmail: not the deactivated ones, nor who is of another workspace."""
    wanted = str(args.get("email") or "").lower()
    for person in api.workspace.active_people():
        if person.team == TEAM_ID and person.email and person.email.lower() == wanted:
            return {"user": user_body(api, person)}
    raise SlackError("users_not_found")


def _group_body(group: UserGroup, *, with_users: bool) -> Json:
    body: Json = {
        "id": group.id,
        "team_id": TEAM_ID,
        "is_usergroup": True,
        "name": group.name,
        "handle": group.handle,
        "user_count": len(group.users),
        "date_delete": 1 if group.disabled else 0,
    }
    return body | ({"users": list(group.users)} if with_users else {})


def group_list(api: Api, args: Json) -> Json:
    """usergroups.list."""
    groups = [g for g in api.workspace.usergroups.values() if not g.disabled or flag(args, "include_disabled")]
    return {"usergroups": [_group_body(g, with_users=flag(args, "include_users")) for g in groups]}


def group_users(api: Api, args: Json) -> Json:
    """usergroups.users.list."""
    group = api.workspace.usergroups.get(str(args.get("usergroup") or ""))
    if group is None or (group.disabled and not flag(args, "include_disabled")):
        raise SlackError("no_such_subteam")
    return {"users": list(group.users)}


def view_open(api: Api, args: Json) -> Json:
    """views.open."""
    return {"view": api.views.open(args.get("trigger_id"), args.get("view"))}


def view_push(api: Api, args: Json) -> Json:
    """views.push."""
    return {"view": api.views.push(args.get("trigger_id"), args.get("view"))}


def view_update(api: Api, args: Json) -> Json:
    """views.update, by view_id or by external_id."""
    if args.get("view_id"):
        view = api.views.get(str(args["view_id"]))
    else:
        view = api.views.by_external_id(str(args.get("external_id") or ""))
    return {"view": api.views.update(view, args.get("view"), args.get("hash"))}


def view_publish(api: Api, args: Json) -> Json:
    """views.publish."""
    return {"view": api.views.publish(args.get("user_id"), args.get("view"), args.get("hash"))}


METHODS = {
    "api.test": Method(api_test, (), 5, "none"),
    "auth.test": Method(auth_test, (), 5),
    "apps.connections.open": Method(open_connection, (), 3, "app"),
    "users.info": Method(user_info, ("users:read",), 4),
    "users.list": Method(user_list, ("users:read",), 2),
    "users.lookupByEmail": Method(user_by_email, ("users:read.email",), 3),
    "usergroups.list": Method(group_list, ("usergroups:read",), 2),
    "usergroups.users.list": Method(group_users, ("usergroups:read",), 2),
    "views.open": Method(view_open, (), 4),
    "views.push": Method(view_push, (), 4),
    "views.update": Method(view_update, (), 4),
    "views.publish": Method(view_publish, (), 4),
}
