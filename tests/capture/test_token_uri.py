"""Where a key lies in a token: what finds exactly one key is taken, a PIN and everything unknown is not."""

from __future__ import annotations

import pytest

from spendgate.capture.token_uri import TokenUri, parse

MODULE = "/usr/lib/softhsm/libsofthsm2.so"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param(f"pkcs11:token=acme;object=root?module-path={MODULE}", TokenUri(MODULE, "acme", "", "root"), id="label"),
        pytest.param(f"pkcs11:serial=06a9;object=root?module-path={MODULE}", TokenUri(MODULE, "", "06a9", "root"), id="serial"),
        pytest.param(
            f"pkcs11:object=a%20%3B%C3%BC;token=A%3Db%25?module-path={MODULE}", TokenUri(MODULE, "A=b%", "", "a ;ü"), id="coded"
        ),
    ],
)  # fmt: skip
def test_it_is_read_and_written_alike(text: str, found: TokenUri) -> None:
    assert parse(text) == found
    assert parse(str(found)) == found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("acme", "no PKCS#11 URI", id="no URI"),
        pytest.param(f"pkcs11:token=a?module-path={MODULE}", "no key", id="no key"),
        pytest.param(f"pkcs11:object=k?module-path={MODULE}", "no token", id="no token"),
        pytest.param("pkcs11:token=a;object=k", "whole path", id="no library"),
        pytest.param("pkcs11:token=a;object=k?module-path=lib.so", "whole path", id="a library that is looked for"),
        pytest.param(f"pkcs11:token=a;object=k?module-path={MODULE}&pin-value=314159", "a PIN", id="a PIN"),
        pytest.param(
            f"pkcs11:token=a;object=k?pin-source=file:/314159&module-path={MODULE}", "a PIN", id="a PIN's place"
        ),
        pytest.param(f"pkcs11:token=a;object=k;id=%01?module-path={MODULE}", "not used here", id="an unknown part"),
        pytest.param(f"pkcs11:token=a;token=314159;object=k?module-path={MODULE}", "twice", id="twice"),
        pytest.param(f"pkcs11:token=a;object=314159 k?module-path={MODULE}", "%XX", id="a space"),
        pytest.param(f"pkcs11:token=a;object=314159%zz?module-path={MODULE}", "%XX", id="half a code"),
        pytest.param(f"pkcs11:token=a;object=%ff314159?module-path={MODULE}", "UTF-8", id="no UTF-8"),
        pytest.param(f"pkcs11:token=a;object=%0a314159?module-path={MODULE}", "cannot be seen", id="a line end"),
        pytest.param(f"pkcs11:token=;object=k?module-path={MODULE}", "empty", id="an empty label"),
    ],
)
def test_what_does_not_go_is_told_without_a_value(text: str, told: str) -> None:
    """What was typed by mistake may be the PIN."""
    with pytest.raises(ValueError, match=told) as refused:
        parse(text)
    assert "314159" not in str(refused.value)
