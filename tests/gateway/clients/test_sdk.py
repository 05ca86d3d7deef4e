"""The story through the venue's official SDK, HMAC and Ed25519.

What it cannot do: anything async over HTTP; take a parameter that it does not know, so a code goes into the header
`Leverlock-Code` of its configuration, never into `otp=`; poll a challenge through its facade, whose general signed
request is broken in 18.0.1, so that goes through the function beneath it.
A refusal's `status_code` is the venue's code, not the HTTP status; headers and further members of the answer are lost.
"""

from __future__ import annotations

import pytest
from sdk_client import Sdk
from story import Story

pytestmark = pytest.mark.debian("oathtool")


class TestSdk(Story):
    kind = Sdk
