import stat
from pathlib import Path

import pytest

from oneinbox.core.errors import Stage
from oneinbox.server.settings import Secrets, SettingsError, explain_stages, load_secrets, load_settings, usable_cores


def load(flags=None, tmp_path: Path | None = None, **environ: str):
    environ.setdefault("ONEINBOX_CONFIG", str((tmp_path or Path("/nonexistent")) / "oneinbox.toml"))
    return load_settings(flags or {}, environ)


def test_flag_beats_variable_beats_file_beats_default(tmp_path: Path) -> None:
    (tmp_path / "oneinbox.toml").write_text("port = 1001\nmedia_port = 2001\nworkers = 3\n")
    settings = load({"port": 1003, "host": None}, tmp_path, ONEINBOX_PORT="1002", ONEINBOX_MEDIA_PORT="2002")
    assert (settings.port, settings.media_port, settings.workers, settings.host) == (1003, 2002, 3, "127.0.0.1")


def test_lists_come_from_variables_by_commas_or_json() -> None:
    servers = '[{"urls": ["turn:turn.example:3478"], "username": "u", "credential": "c"}]'
    settings = load(ONEINBOX_ANNOUNCED_ADDRESSES="203.0.113.7, ::1", ONEINBOX_ICE_SERVERS=servers)
    assert settings.announced_addresses == ("203.0.113.7", "::1")
    assert settings.ice_servers[0].urls == ("turn:turn.example:3478",)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"ONEINBOX_PORT": "many"}, "ONEINBOX_PORT"),
        ({"ONEINBOX_PORT": "70000"}, "port"),
        ({"ONEINBOX_ANNOUNCED_ADDRESSES": "example.com"}, "announced_addresses"),
        ({"ONEINBOX_ICE_SERVERS": "[{"}, "ONEINBOX_ICE_SERVERS"),
        ({"ONEINBOX_ICE_SERVERS": '[{"urls": ["turn.example"]}]'}, "turn.example"),
        ({"ONEINBOX_ICE_SERVERS": '[{"urls": ["turn:turn.example"]}]'}, "needs a secret"),
        ({"ONEINBOX_ICE_SERVERS": '[{"urls": ["turn:x"], "secret": "s", "username": "u"}]'}, "has a secret"),
        ({"ONEINBOX_REJOIN_GRACE_S": "-1"}, "rejoin_grace_s"),
        ({"ONEINBOX_PUBLIC_URL": "example.com"}, "public_url"),
        ({"ONEINBOX_LLM_BASE_URL": "localhost:11434"}, "llm"),
        ({"ONEINBOX_WORKERS": "-1"}, "workers"),
        ({"ONEINBOX_WORKERS": "many"}, "ONEINBOX_WORKERS"),
        ({"ONEINBOX_MAX_CALLS_PER_WORKER": "0"}, "max_calls_per_worker"),
        ({"ONEINBOX_MAX_WORKER_CPU": "nan"}, "max_worker_cpu"),
        ({"ONEINBOX_DRAIN_TIMEOUT_S": "-5"}, "drain_timeout_s"),
        ({"ONEINBOX_METRICS_TOKEN": "short"}, "metrics_token"),
        ({"ONEINBOX_METRICS_ALLOWED_NETWORKS": "10.0.0.0/33"}, "metrics_allowed_networks"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(environ: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        load(**environ)


def test_an_unknown_name_in_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "oneinbox.toml").write_text("prot = 1\n")
    with pytest.raises(SettingsError, match="prot"):
        load(tmp_path=tmp_path)


def test_one_openai_key_serves_all_three_stages() -> None:
    settings = load(OPENAI_API_KEY="sk-1")
    assert set(settings.stages) == set(Stage)
    assert {stage.api_key for stage in settings.stages.values()} == {"sk-1"}
    assert all("OPENAI_API_KEY" in why for _, _, why in explain_stages(settings))


def test_each_stage_has_its_own_address_key_and_model() -> None:
    settings = load(
        OPENAI_API_KEY="sk-1",
        ONEINBOX_LLM_BASE_URL="http://127.0.0.1:11434/v1/",
        ONEINBOX_LLM_MODEL="qwen3:1.7b",
        ONEINBOX_TTS_API_KEY="sk-2",
        ONEINBOX_TTS_VOICE="nova",
    )
    llm, stt, tts = settings.stages["llm"], settings.stages["stt"], settings.stages["tts"]
    assert (llm.base_url, llm.model) == ("http://127.0.0.1:11434/v1", "qwen3:1.7b")
    assert llm.api_key is None, "a key is never sent to an address it was not given for"
    assert (stt.api_key, tts.api_key, tts.voice) == ("sk-1", "sk-2", "nova")


def test_nothing_set_means_the_demo() -> None:
    rows = {stage: (who, why) for stage, who, why in explain_stages(load())}
    assert all("demo" in who for who, _ in rows.values())


def test_no_key_is_shown() -> None:
    settings = load(OPENAI_API_KEY="sk-very-secret")
    assert "sk-very-secret" not in repr(settings)
    assert "sk-very-secret" not in str(explain_stages(settings))


def test_secrets_are_made_once_and_are_for_the_owner_only(tmp_path: Path) -> None:
    made = load_secrets(tmp_path / "data")
    assert load_secrets(tmp_path / "data") == made
    assert stat.S_IMODE((tmp_path / "data" / "secrets.json").stat().st_mode) == 0o600
    assert load_secrets(tmp_path / "other") != made
    assert repr(Secrets(participant_tokens="a", sessions="b")) == "Secrets(***)"


def test_workers_are_one_for_each_core_unless_said_otherwise() -> None:
    for settings in (load(), load({"workers": "auto"}), load(ONEINBOX_WORKERS="auto"), load({"workers": "0"})):
        assert settings.worker_count == usable_cores() >= 1
    assert load({"workers": "7"}).worker_count == 7


def test_metrics_are_for_this_machine_unless_a_proxy_stands_in_front() -> None:
    assert load().metrics_networks == ("127.0.0.0/8", "::1/128")
    assert load(ONEINBOX_PUBLIC_URL="https://talk.example").metrics_networks == ()
    named = load(ONEINBOX_PUBLIC_URL="https://talk.example", ONEINBOX_METRICS_ALLOWED_NETWORKS="10.1.0.0/16, fd00::/8")
    assert named.metrics_networks == ("10.1.0.0/16", "fd00::/8")
    assert load(ONEINBOX_METRICS_ALLOWED_NETWORKS="").metrics_networks == ()
