"""A stand-in for a Slack workspace, as strict as Slack. It imports nothing from the rest of Baton."""

from .person import Person
from .server import LocalSlack

__all__ = ["LocalSlack", "Person"]
