"""Who calls the API: bearer tokens and what they may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from bot.http.problems import Unauthorised
from core.domain.errors import NotAllowed
from core.domain.model import Actor
from core.tokens import Token, Tokens

#: Only for the OpenAPI page; the header itself is read by `authenticate`.
BEARER = HTTPBearer(auto_error=False, description="A token made by `baton token create NAME --scope …`.")


def authenticate(tokens: Tokens, header: str) -> Token:
    """The token in an `Authorization` header. Raises `Unauthorised`; a wrong and a revoked token look the same."""
    scheme, _, text = header.strip().partition(" ")
    if not header.strip():
        raise Unauthorised(
            "no-token",
            "This call needs a token; send the header `Authorization: Bearer TOKEN` (`baton token create` makes one).",
        )
    if scheme.lower() != "bearer":
        raise Unauthorised(
            "no-token", "The Authorization header is not understood; write `Authorization: Bearer TOKEN`."
        )
    found = tokens.recognise(text.strip())
    if found is None:
        raise Unauthorised(
            "bad-token", "This token is not known, or was revoked; `baton token create` makes a new one."
        )
    return found


def needs(scope: str) -> Callable[..., Actor]:
    """A dependency: the actor of the call's token, when the token holds `scope`."""

    def actor(request: Request, _: Annotated[Any, Depends(BEARER)]) -> Actor:
        token: Token = request.state.token
        if not token.may(scope):
            held = ", ".join(sorted(token.scopes))
            raise NotAllowed(
                "scope-missing",
                f"The token {token.name} has the scope {held}; this call needs {scope}. "
                f"Make another with `baton token create NAME --scope {scope}`.",
                scope=scope,
            )
        return token.actor

    return actor
