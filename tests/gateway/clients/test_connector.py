"""The story through binance-futures-connector (deprecated by its makers, still in use), HMAC.

What it cannot do: sign with Ed25519 (HMAC and RSA only) and anything async. It knows no conditional (algo) orders and
no amending of a batch; both go through its general `sign_request`. Its batch call takes no further parameter, so a
code for it goes into the session's header. It puts every parameter into the URL, an `otp` too.
"""

from __future__ import annotations

import pytest
from connector_client import Connector
from story import Story

pytestmark = pytest.mark.debian("oathtool")


class TestConnector(Story):
    kind = Connector
