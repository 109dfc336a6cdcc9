"""macOS configuration profiles: trust, the redirector's approval and configuration, background items, PAC, tools.

Each is a profile of its own, so that an MDM can assign and withdraw it by itself; order and removal are in `index`. Keys and
values are Apple's (github.com/apple/device-management, MIT); tests hold every profile against its definitions.
"""

from __future__ import annotations

import plistlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any, Final

from spendgate.mdm import tools
from spendgate.mdm.interface import Made
from spendgate.mdm.places import System
from spendgate.mdm.rollout import Mode, Rollout, Stage

TEAM: Final = "S8XHQB96PW"
"""Who signs mitmproxy's redirector: Developer ID of one of its authors, read in the application that mitmproxy 12.2.3 ships."""
APPLICATION: Final = "org.mitmproxy.macos-redirector"
EXTENSION: Final = "org.mitmproxy.macos-redirector.network-extension"
_DEVELOPER_ID: Final = (
    "anchor apple generic and certificate 1[field.1.2.840.113635.100.6.2.6] and "
    "certificate leaf[field.1.2.840.113635.100.6.1.13] and certificate leaf[subject.OU]"
)
"""Apple's marks of a Developer ID certificate and its issuer."""
Payload = dict[str, Any]


def profiles(rollout: Rollout) -> Iterator[Made]:
    """Every profile that the mode needs, numbered in the order of installation."""
    wanted: list[tuple[str, str, tuple[Payload, ...]]] = [("root", "trusts the organization's root", (_root(rollout),))]
    if rollout.mode is Mode.TRANSPARENT:
        wanted += [
            ("system-extension", "approves the redirector's network extension", (_system_extension(rollout),)),
            ("transparent-proxy", "configures the redirector (macOS 14 or later)", (_transparent_proxy(),)),
        ]
    elif rollout.pac_url is not None:
        wanted += [("pac", "leads providers' hosts to the gate, the rest direct", (_pac(rollout.pac_url),))]
    wanted += [
        ("background-items", "lets the gate's background items run, unasked", (_background_items(rollout),)),
        ("tools", "managed settings of AI tools", tuple(_tools(rollout))),
    ]
    for number, (part, about, payloads) in enumerate((each for each in wanted if each[2]), 1):
        content = _profile(rollout, part, about, payloads)
        yield Made(f"macos/profiles/{number}-{part}.mobileconfig", content, about)


def _profile(rollout: Rollout, part: str, about: str, payloads: tuple[Payload, ...]) -> bytes:
    inner = [
        {
            **payload,
            "PayloadIdentifier": rollout.named(f"{part}.{number}"),
            "PayloadUUID": rollout.uuid(f"{part}.{number}"),
            "PayloadVersion": 1,
            "PayloadOrganization": rollout.organization,
        }
        for number, payload in enumerate(payloads, 1)
    ]
    whole = {
        "PayloadContent": inner,
        "PayloadDescription": f"Spendgate of {rollout.organization}: {about}. Questions: {rollout.contact.address}",
        "PayloadDisplayName": f"Spendgate: {part.replace('-', ' ')}",
        "PayloadIdentifier": rollout.named(part),
        "PayloadOrganization": rollout.organization,
        "PayloadRemovalDisallowed": True,
        "PayloadScope": "System",
        "PayloadType": "Configuration",
        "PayloadUUID": rollout.uuid(part),
        "PayloadVersion": 1,
    }
    return plistlib.dumps(whole, fmt=plistlib.FMT_XML, sort_keys=True)


def _root(rollout: Rollout) -> Payload:
    return {
        "PayloadType": "com.apple.security.root",
        "PayloadDisplayName": rollout.root.subject,
        "PayloadCertificateFileName": "root.cer",
        "PayloadContent": rollout.root.der,
    }


def _system_extension(rollout: Rollout) -> Payload:
    """While a rollout is being tried the extension may remove itself; later people cannot switch it off in the settings.

    Never `NonRemovableSystemExtensions`: an extension that nothing but a reinstalled system removes has no kill switch.
    """
    stays = "NonRemovableFromUISystemExtensions" if rollout.stage is Stage.ENFORCE else "RemovableSystemExtensions"
    return {
        "PayloadType": "com.apple.system-extension-policy",
        "PayloadDisplayName": "mitmproxy's redirector",
        "AllowedSystemExtensions": {TEAM: [EXTENSION]},
        "AllowedSystemExtensionTypes": {TEAM: ["NetworkExtension"]},
        stays: {TEAM: [EXTENSION]},
    }


def _transparent_proxy() -> Payload:
    return {
        "PayloadType": "com.apple.vpn.managed",
        "PayloadDisplayName": "mitmproxy's transparent proxy",
        "UserDefinedName": "Spendgate",
        "VPNType": "TransparentProxy",
        "VPNSubType": APPLICATION,
        "TransparentProxy": {
            "AuthenticationMethod": "Password",
            "ProviderBundleIdentifier": EXTENSION,
            "ProviderDesignatedRequirement": f'identifier "{EXTENSION}" and {_DEVELOPER_ID} = {TEAM}',
            "ProviderType": "app-proxy",
        },
    }


def _background_items(rollout: Rollout) -> Payload:
    rules = [{"RuleType": "LabelPrefix", "RuleValue": f"{rollout.identifier}.", "Comment": "Spendgate's own"}]
    if rollout.mode is Mode.TRANSPARENT:
        rules.append(
            {
                "RuleType": "BundleIdentifier",
                "RuleValue": APPLICATION,
                "TeamIdentifier": TEAM,
                "Comment": "mitmproxy's redirector",
            }
        )
    return {"PayloadType": "com.apple.servicemanagement", "PayloadDisplayName": "Background items", "Rules": rules}


def _pac(url: str) -> Payload:
    return {
        "PayloadType": "com.apple.proxy.http.global",
        "PayloadDisplayName": "Proxy by PAC file",
        "ProxyType": "Auto",
        "ProxyPACURL": url,
        "ProxyPACFallbackAllowed": True,
        "ProxyCaptiveLoginAllowed": True,
    }


def _tools(rollout: Rollout) -> Iterator[Payload]:
    """Preferences of tools that read the managed ones."""
    codex = b64encode(tools.codex(rollout, System.MACOS)).decode()
    yield _preferences("com.openai.codex", "Codex", {"config_toml_base64": codex})
    if not rollout.cowork:
        yield _preferences("com.anthropic.claudefordesktop", "Claude Desktop", tools.CLAUDE_DESKTOP_WITHOUT_VM)


def _preferences(domain: str, name: str, settings: Mapping[str, object]) -> Payload:
    return {
        "PayloadType": "com.apple.ManagedClient.preferences",
        "PayloadDisplayName": name,
        "PayloadContent": {domain: {"Forced": [{"mcx_preference_settings": dict(settings)}]}},
    }
