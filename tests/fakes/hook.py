"""A receiver of hooks as the reference asks for: it verifies every signature, and does an act once."""

from __future__ import annotations

import standardwebhooks

from tests.fakes.serving import Reply, Request, Server

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class FakeHook(Server):
    """`acts` are the ids that it began to carry out."""

    def __init__(self) -> None:
        super().__init__()
        self.acts: list[str] = []

    def obey(self, request: Request) -> Reply:
        try:
            standardwebhooks.Webhook(SECRET).verify(request.body, dict(request.headers))
        except standardwebhooks.WebhookVerificationError as error:
            return Reply(401, {"message": str(error)})
        if request.path != "/deploy":
            return Reply(404, {"message": "There is no such hook."})
        key = request.headers["webhook-id"]
        if key not in self.acts:
            self.acts.append(key)
        return Reply(202, {"url": "https://deploy.example.com/1"})
