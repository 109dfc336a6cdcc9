"""Whether those who can answer an ask have it: what the person who asked reads."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Any


def reached(message: Mapping[str, Any] | None, *, names: bool = True, notifies: bool = True) -> str:
    """`delivered to slack-1f3a9c0d; could not be delivered yet to mail:lead (could not be reached)`; `message` is
    `Reader.messages`'s. Without `names`, where the policy is not the account's to read: how many receivers. Not `notifies`: the
    policy has no way to tell anybody anything."""
    if message is None:
        return ""
    if not message["routed"]:
        if not notifies:
            return "not sent, since the policy has no notify: give them the ask yourself"
        return "not delivered yet: a running gate sends it"
    deliveries = message["deliveries"]
    if not deliveries:
        return "delivered to nobody: no notify is for alert, and no approver has mail"
    there = [each["receiver"] for each in deliveries if each["delivered_ms"] is not None]
    late = [each for each in deliveries if each["delivered_ms"] is None]
    parts = [f"delivered to {', '.join(there) if names else _number(there)}"] if there else []
    open_, over = ([each for each in late if (each["given_up_ms"] is None) is still] for still in (True, False))
    if open_:
        parts.append(f"could not be delivered yet to {_said(open_) if names else _number(open_)}")
    if over:
        parts.append(f"not delivered to {_said(over) if names else _number(over)}")
    return "; ".join(parts)


def _said(deliveries: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{each['receiver']} ({each['error']})" if each["error"] else each["receiver"] for each in deliveries
    )


def _number(receivers: Sized) -> str:
    return f"{len(receivers)} receiver{'s' if len(receivers) > 1 else ''}"
