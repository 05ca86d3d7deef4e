"""Settings: every number inside its source's bounds, every refusal with setting, source and reason (B78, B94)."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pydantic
import pytest

from leverlock.config import Settings
from leverlock.domain.limits import BOUNDS, Limits
from leverlock.domain.totp import Window
from leverlock.settings_sources import Loaded, SettingsError, load_settings, schema, shown

NUMBERS = sorted(field.name for field in fields(Limits) if field.name in BOUNDS)


def loaded(folder: Path, text: str = "", **environment: str) -> Loaded:
    """Settings read from a file with this text and these variables."""
    file = folder / "leverlock.toml"
    file.write_text(text)
    return load_settings(file, environment)


def refusals(folder: Path, text: str = "", **environment: str) -> list[tuple[str, str, str]]:
    """What is wrong with them, as (setting, source, reason)."""
    with pytest.raises(SettingsError) as caught:
        loaded(folder, text, **environment)
    return [(problem.setting, problem.source, problem.reason) for problem in caught.value.problems]


def test_nothing_set_is_the_defaults_of_the_bar(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    assert found.settings.limits == Limits()
    assert found.settings.policy == "literal"
    assert found.origins == {}


def test_they_are_frozen(tmp_path: Path) -> None:
    settings = loaded(tmp_path).settings
    with pytest.raises(pydantic.ValidationError):
        settings.issuer = "Other"  # type: ignore[misc]
    with pytest.raises(pydantic.ValidationError):
        settings.server.api_port = 1  # type: ignore[misc]


# -- the numbers ---------------------------------------------------------------------------------------------------
@pytest.mark.bar("B78")
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_outside_its_bound_is_refused_with_the_bound_and_its_source(tmp_path: Path, name: str) -> None:
    low, high, source = BOUNDS[name]
    for outside in (high + 1, low - 1):
        text = f"[limits]\n{name} = {outside}\n"
        ((setting, where, reason),) = refusals(tmp_path, text)
        assert setting == f"limits.{name}"
        assert where == str(tmp_path / "leverlock.toml")
        assert str(outside) in reason
        assert f"{low}..{high}" in reason
        assert source in reason


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_can_be_set_to_its_bounds(tmp_path: Path, name: str) -> None:
    low, high, _ = BOUNDS[name]
    for value in (low, high):
        more = "" if name not in ("environment_live_challenges", "environment_slots_for_owner") else _SLOTS[name, value]
        if name == "guess_probability_max" and value == low:
            continue  # nobody can guess with probability 0; what the bound means is tested below
        settings = loaded(tmp_path, f"[limits]\n{name} = {value}\n{more}").settings
        assert getattr(settings.limits, name) == value


_SLOTS = {
    ("environment_live_challenges", 4): "",
    ("environment_live_challenges", 32): "",
    ("environment_slots_for_owner", 1): "",
    ("environment_slots_for_owner", 16): "environment_live_challenges = 17",
}


@pytest.mark.bar("B78")
def test_the_probability_of_a_guess_is_computed_and_printed(tmp_path: Path) -> None:
    text = "[limits]\nfactor_disable_after = 100\nguess_probability_max = 2e-4\n"
    ((setting, _, reason),) = refusals(tmp_path, text)
    assert setting == "limits"
    assert "3.00e-04" in reason  # three live codes, a hundred guesses
    assert "B78" in reason
    assert loaded(tmp_path, text + 'totp_window = "narrow"\n').settings.limits.totp_window is Window.NARROW


@pytest.mark.bar("B78")
def test_ten_thousand_tries_are_refused(tmp_path: Path) -> None:
    ((_, _, reason),) = refusals(tmp_path, "[limits]\nfactor_disable_after = 10000\n")
    assert "10000 is outside 5..100 (NIST SP 800-63B-4 section 3.2.2)" in reason


def test_the_environments_numbers_are_read_like_the_files(tmp_path: Path) -> None:
    assert loaded(tmp_path, LEVERLOCK__LIMITS__GRANT_LIFE_MS="30000").settings.limits.grant_life_ms == 30_000
    ((setting, where, reason),) = refusals(tmp_path, LEVERLOCK__LIMITS__GRANT_LIFE_MS="90000")
    assert (setting, where) == ("limits.grant_life_ms", "environment variable LEVERLOCK__LIMITS__GRANT_LIFE_MS")
    assert "B44" in reason


# -- what is refused -------------------------------------------------------------------------------------------------
@pytest.mark.bar("B94")
@pytest.mark.parametrize("value", ["NORMAL", "normal", "OFF", "EXTRA", "1", ""])
def test_a_store_that_may_forget_is_refused(tmp_path: Path, value: str) -> None:
    ((setting, where, reason),) = refusals(tmp_path, f'[store]\nsynchronous = "{value}"\n')
    assert (setting, where) == ("store.synchronous", str(tmp_path / "leverlock.toml"))
    assert "B94" in reason
    ((setting, where, _),) = refusals(tmp_path, LEVERLOCK__STORE__SYNCHRONOUS=value)
    assert (setting, where) == ("store.synchronous", "environment variable LEVERLOCK__STORE__SYNCHRONOUS")


WRONG: list[tuple[str, str, str]] = [
    ("[server]\napi_port = 70000", "server.api_port", "65535"),
    ("[server]\napi_port = true", "server.api_port", "whole number"),
    ("[server]\napi_port = 8700.0", "server.api_port", "whole number"),
    ('[server]\napi_port = "http"', "server.api_port", "integer"),
    ('[server]\napi_url = "https://a.example/path"', "server.api_url", "without a path"),
    ('[server]\napi_url = "ftp://a.example"', "server.api_url", "expected an address"),
    ('[server]\napi_url = "https://user:word@a.example"', "server.api_url", "expected an address"),
    ('[server]\napproval_url = "https://a.example/x"', "server.approval_url", "{challenge}"),
    ('[server]\napproval_url = "https://a.example/{challenge}/{0.__class__}"', "server.approval_url", "{challenge}"),
    ('[server]\napi_host = "0.0.0.0"', "server.api_host", "unencrypted"),
    ('[server]\ngateway_host = "gateway.example"', "server.gateway_host", "unencrypted"),
    ('[server]\ntls_key = "key.pem"', "server", "belong together"),
    ("[server]\nstop_seconds = 0", "server.stop_seconds", "greater than 0"),
    ('issuer = "Acme: Futures"', "issuer", "colon"),
    ('issuer = ""', "issuer", "1 to 64"),
    ('issuer = " Acme"', "issuer", "blanks"),
    ('issuer = "Ac\\u202eme"', "issuer", "printable"),
    ('issuer_style = "tiny"', "issuer_style", "spaced"),
    ('[smtp]\nhost = "mail.example"', "smtp.sender", "From"),
    ('[smtp]\nhost = "mail.example"\nsender = "a@b.example"\ntls = "unsafe_none"', "smtp.tls", "starttls"),
    ('[smtp]\nusername = "x"', "smtp", "belong together"),
    ('[smtp]\ntls = "off"', "smtp.tls", "starttls"),
    ('[logging]\nlevel = "loud"', "logging.level", "debug"),
    ("[venue]\nconnect_seconds = 20.0", "venue.connect_seconds", "shorter"),
    ('[admin]\nsocket = "' + "s" * 120 + '"', "admin.socket", "at most"),
    ("[server]\naip_port = 1", "server.aip_port", "did you mean server.api_port?"),
    ("[nonsense]\nvalue = 1", "nonsense", "no such setting"),
    ('server = "here"', "server", "dictionary"),
    ("[limits]\ngrant_life = 1", "limits.grant_life", "did you mean limits.grant_life_ms?"),
    ("[limits]\ngrant_life_ms = true", "limits.grant_life_ms", "whole number"),
    ("[limits]\ngrant_life_ms = 30000.5", "limits.grant_life_ms", "whole number"),
    ('[limits]\ngrant_life_ms = "soon"', "limits.grant_life_ms", "a number"),
    ('[limits]\ntotp_window = "wide"', "limits.totp_window", "standard or narrow"),
    ("[limits]\nenvironment_slots_for_owner = 8", "limits", "leave slots"),
    ('"server.api_port" = 1', "server.api_port", "leave the quotes out"),
]


@pytest.mark.parametrize(("text", "setting", "reason"), WRONG, ids=[case[0].replace("\n", " ") for case in WRONG])
def test_what_is_wrong_is_refused_by_name(tmp_path: Path, text: str, setting: str, reason: str) -> None:
    ((found, where, why),) = refusals(tmp_path, text)
    assert found == setting
    assert where == ("default" if setting == "smtp.sender" else str(tmp_path / "leverlock.toml"))
    assert reason in why


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    text = '[server]\napi_port = -1\n[store]\nsynchronous = "OFF"\n[limits]\ngrant_life_ms = 1\ngroup_size = 9\n'
    found = refusals(tmp_path, text, LEVERLOCK__ISSUER="a:b", LEVERLOCK__NOTHING="1")
    assert {setting for setting, _, _ in found} == {
        "server.api_port",
        "store.synchronous",
        "limits.grant_life_ms",
        "limits.group_size",
        "issuer",
        "nothing",
    }


def test_a_file_that_is_no_toml_is_named_with_its_line(tmp_path: Path) -> None:
    ((_, where, reason),) = refusals(tmp_path, "policy = literal\n")
    assert where == str(tmp_path / "leverlock.toml")
    assert "line 1" in reason


def test_a_named_file_has_to_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load_settings(tmp_path / "absent.toml", {})
    with pytest.raises(SettingsError, match="No such file"):
        load_settings(None, {"LEVERLOCK_CONFIG": str(tmp_path / "absent.toml")})


# -- sources ---------------------------------------------------------------------------------------------------------
def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    found = loaded(tmp_path, "[server]\napi_port = 1000\ngateway_port = 1001\n", LEVERLOCK__SERVER__API_PORT="2000")
    assert (found.settings.server.api_port, found.settings.server.gateway_port) == (2000, 1001)
    assert found.origins["server.api_port"] == "environment variable LEVERLOCK__SERVER__API_PORT"
    assert found.origins["server.gateway_port"] == str(tmp_path / "leverlock.toml")


def test_an_unknown_variable_of_ours_is_refused(tmp_path: Path) -> None:
    ((setting, where, reason),) = refusals(tmp_path, LEVERLOCK__SERVER__API_PROT="1")
    assert (setting, where) == ("server.api_prot", "environment variable LEVERLOCK__SERVER__API_PROT")
    assert "did you mean server.api_port?" in reason
    loaded(tmp_path, LEVERLOCK_PASSWORD="not a setting")


SMTP = '[smtp]\nhost = "mail.example"\nsender = "a@b.example"\nusername = "x"\n'


def test_a_secret_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret of the mail\n")
    pointed = loaded(tmp_path, SMTP, LEVERLOCK__SMTP__PASSWORD_FILE=str(secret))
    named = loaded(tmp_path, SMTP + 'password_file = "secret"\n')
    for found in (pointed, named):
        password = found.settings.smtp.password
        assert password is not None
        assert password.get_secret_value() == "s3cret of the mail"
        assert str(secret) in found.origins["smtp.password"]


def test_a_secrets_file_that_is_absent_is_named(tmp_path: Path) -> None:
    found = refusals(tmp_path, SMTP, LEVERLOCK__SMTP__PASSWORD_FILE=str(tmp_path / "absent"))
    setting, where, reason = found[0]
    assert setting == "smtp.password"
    assert "LEVERLOCK__SMTP__PASSWORD_FILE" in where
    assert "No such file" in reason


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("one")
    found = refusals(tmp_path, SMTP, LEVERLOCK__SMTP__PASSWORD="two", LEVERLOCK__SMTP__PASSWORD_FILE=str(secret))
    assert "set twice" in found[0][2]


def test_only_secrets_have_the_file_form(tmp_path: Path) -> None:
    ((setting, _, reason),) = refusals(tmp_path, LEVERLOCK__ISSUER_FILE="/etc/hostname")
    assert setting == "issuer_file"
    assert "no such setting" in reason


def test_relative_paths_start_at_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    settings = loaded(tmp_path, 'policy = "mine.toml"\n[store]\npath = "data/x.db"\n').settings
    assert settings.store.path == tmp_path / "data" / "x.db"
    assert settings.policy == str(tmp_path / "mine.toml")
    assert settings.keyring.path == tmp_path / "keyring.json"  # a default does too


def test_the_default_files_are_found_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    nothing = load_settings(None, {})
    assert nothing.file is None
    assert nothing.settings.store.path == tmp_path / ".leverlock" / "leverlock.db"
    (tmp_path / ".leverlock").mkdir()
    (tmp_path / ".leverlock" / "config.toml").write_text('issuer = "Second"\n')
    assert load_settings(None, {}).settings.issuer == "Second"
    (tmp_path / "leverlock.toml").write_text('issuer = "First"\n')
    assert load_settings(None, {}).settings.issuer == "First"
    assert load_settings(None, {"LEVERLOCK_CONFIG": ".leverlock/config.toml"}).settings.issuer == "Second"


def test_a_list_is_separated_by_commas_in_the_environment(tmp_path: Path) -> None:
    by_variable = loaded(tmp_path, LEVERLOCK__WEBHOOK__HOSTS="a.example, b.example").settings.webhook.hosts
    by_file = loaded(tmp_path, '[webhook]\nhosts = ["a.example", "b.example"]\n').settings.webhook.hosts
    assert by_variable == by_file == ("a.example", "b.example")


def test_beyond_the_loopback_tls_or_a_word_about_it_is_needed(tmp_path: Path) -> None:
    open_word = '[server]\napi_host = "0.0.0.0"\nunsafe_plain_http = true\n'
    assert loaded(tmp_path, open_word).settings.server.unsafe_plain_http
    tls = '[server]\napi_host = "0.0.0.0"\ntls_certificate = "c.pem"\ntls_key = "k.pem"\n'
    assert loaded(tmp_path, tls).settings.server.tls_key == tmp_path / "k.pem"


# -- what is shown ---------------------------------------------------------------------------------------------------
def test_secrets_are_redacted_by_their_type(tmp_path: Path) -> None:
    found = loaded(tmp_path, SMTP + 'password = "s3cret of the mail"\n')
    everything = list(shown(found))
    assert ("smtp.password", "(set, not shown)", str(tmp_path / "leverlock.toml")) in everything
    assert "s3cret" not in repr(everything)
    assert "s3cret" not in repr(found.settings)
    assert "s3cret" not in found.settings.smtp.model_dump_json()


def test_an_error_never_repeats_a_secret(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, '[smtp]\npassword = ["s3cret of the mail"]\n')
    assert "s3cret" not in str(caught.value)


def test_everything_that_is_shown_can_be_set_and_the_other_way_round(tmp_path: Path) -> None:
    names = {name for name, _, _ in shown(loaded(tmp_path))}
    assert names == set(_paths(schema()))


def test_the_schema_knows_every_bound() -> None:
    properties = schema()["properties"]["limits"]["properties"]
    assert set(properties) == {field.name for field in fields(Limits)}
    for name, (low, high, source) in BOUNDS.items():
        assert (properties[name]["minimum"], properties[name]["maximum"]) == (low, high)
        assert properties[name]["description"] == source
    assert schema()["additionalProperties"] is False


def test_every_setting_is_described() -> None:
    undescribed = [
        f"{section.__name__}.{name}"
        for section in (Settings, *(info.annotation for info in Settings.model_fields.values()))
        if isinstance(section, type) and issubclass(section, pydantic.BaseModel)
        for name, info in section.model_fields.items()
        if not info.description and not _is_section(info.annotation) and info.annotation is not Limits
    ]
    assert not undescribed


def test_what_init_writes_can_be_read(tmp_path: Path) -> None:
    from leverlock.cli.init import _TEMPLATE

    text = _TEMPLATE.format(policy='"literal"', issuer='"Acme"')
    commented_in = "\n".join(line.removeprefix("# ") if " = " in line else line for line in text.splitlines()
                             if not line.startswith("# LEVERLOCK"))  # fmt: skip
    assert tomllib.loads(text)["issuer"] == "Acme"
    assert loaded(tmp_path, text).settings.issuer == "Acme"
    settings_alone = "\n".join(line for line in commented_in.splitlines() if " = " in line or line.startswith("["))
    assert loaded(tmp_path, settings_alone).settings.smtp.host == "mail.example.com"


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel)


def _paths(document: dict[str, Any], node: dict[str, Any] | None = None, prefix: str = "") -> list[str]:
    node = document if node is None else node
    if "$ref" in node:
        node = document["$defs"][node["$ref"].rpartition("/")[2]]
    if "properties" not in node:
        return [prefix.removesuffix(".")]
    return [path for name, inner in node["properties"].items() for path in _paths(document, inner, f"{prefix}{name}.")]
