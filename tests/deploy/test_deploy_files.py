"""What can be said of ``deploy/`` without a container engine: by reading, and by systemd and nginx.

No engine builds the images here; ``test_deployed_processes`` runs the commands they hold.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from tests.deploy.conftest import DEPLOY, Stage, stages
from tests.support import machine, source

PROJECT = tomllib.loads(source.text(source.ROOT / "pyproject.toml"))["project"]
UNITS = ("cronbell.service", "cronbell@.service")
EXPOSURE = 20  # of 100, as systemd-analyze counts it; a unit without any hardening has 96
EXEC_FORM = ("CMD", "RUN", "VOLUME")


def settings(unit: str) -> list[str]:
    lines = source.text(DEPLOY / "systemd" / unit).splitlines()
    return [line for line in lines if line and not line.startswith(("#", "["))]


@pytest.mark.parametrize("name", ["cronbell", "ideasgpt"])
def test_an_image_runs_without_a_shell_as_a_user_that_is_not_root(containerfile, name: str):
    stage: Stage = containerfile[name]
    for word in EXEC_FORM:
        assert all(isinstance(json.loads(text), list) for text in stage.all(word)), word
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", stage.last("USER"))
    assert stage.last("STOPSIGNAL") == "SIGTERM"
    assert json.loads(stage.last("VOLUME")) == [stage.environment["CRONBELL_DATA"]]
    assert json.loads(stage.last("CMD"))[0] == name
    assert not re.findall(r"SECRET|TOKEN|PASSWORD", " ".join(stage.environment))
    after = stage.instructions[stage.instructions.index(("USER", stage.last("USER"))) :]
    assert not [text for word, text in after if word == "RUN"], "as root only, before USER"


def test_the_image_built_unless_another_is_named_is_cronbell(containerfile):
    assert list(containerfile)[-1] == "cronbell"


def test_the_images_have_a_python_the_project_takes(containerfile):
    wanted = SpecifierSet(PROJECT["requires-python"])
    tested = {one.rpartition(" ")[2] for one in PROJECT["classifiers"] if "Python :: 3." in one}
    for stage in containerfile.values():
        found = re.search(r"python:(3\.\d+)-", stage.image)
        assert found
        assert found[1] in wanted
        assert found[1] in tested


def test_everything_an_image_copies_is_there_and_let_through(containerfile):
    let_in = [line[1:] for line in source.text(source.ROOT / ".dockerignore").splitlines()]
    copied = {
        word
        for stage in containerfile.values()
        for text in stage.all("COPY")
        if not text.startswith("--from=")
        for word in text.split()[:-1]
    }
    assert "src" in copied
    for path in copied:
        assert (source.ROOT / path).exists(), path
        assert path in let_in, path


def test_every_version_is_the_project_s(containerfile, compose):
    label = " ".join(containerfile["cronbell"].all("LABEL"))
    assert f'image.version="{PROJECT["version"]}"' in label
    for name in ("web", "runner"):
        assert compose["services"][name]["image"] == f"ideasgpt:{PROJECT['version']}"


def test_the_installing_steps_are_the_same_wherever_it_is_deployed(containerfile):
    steps = [json.loads(text)[1:] for text in containerfile["build"].all("RUN")[1:]]
    quiet = {"--no-cache-dir", "--disable-pip-version-check"}
    in_image = [[word for word in step if word not in quiet] for step in steps]
    on_vercel = json.loads(source.text(source.ROOT / "vercel.json"))["installCommand"]
    assert len(on_vercel) <= 256, "Vercel takes no longer one"
    plain = [shlex.split(step)[1:] for step in on_vercel.split(" && ")]
    short = {"-r": "--requirement", "deploy/requirements.lock": "requirements.lock"}
    assert [[short.get(word, word) for word in step] for step in plain] == in_image


@pytest.mark.parametrize("name", ["web", "runner"])
def test_a_service_of_the_compose_file_can_change_nothing_but_its_data(compose, name: str):
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["volumes"] == [f"{name}:/data"]
    assert name in compose["volumes"]
    seconds = int(service["stop_grace_period"].removesuffix("s"))
    assert seconds >= {"web": 12, "runner": 30 + 5}[name]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_compose_file_builds_a_stage_there_is_and_asks_for_variables_that_are_explained(
    compose, containerfile
):
    build = compose["services"]["web"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()
    assert build["target"] in containerfile
    asked = set(re.findall(r"\$\{(\w+)", source.text(DEPLOY / "compose.yaml")))
    offered = set(re.findall(r"^(\w+)=", source.text(DEPLOY / "env.example"), re.MULTILINE))
    assert asked <= offered


READ = re.compile(r'(?:environ(?:\.get)?[\[(]|flag\()"([A-Z_]+)"')
# Set by the platform, by `cronbell up` for its own processes, or by Django's own documentation.
NOT_OURS = {
    "VERCEL", "VERCEL_PROJECT_PRODUCTION_URL", "CRONBELL_OWN_URL", "DJANGO_SETTINGS_MODULE",
    "CONTENT_LENGTH",  # of a request
}  # fmt: skip


def test_every_variable_the_service_reads_is_explained():
    read = {
        name
        for path in source.under("src", suffix=".py")
        for name in READ.findall(source.text(path))
    }
    assert {"CRON_SECRET", "CRONBELL_HTTPS"} <= read
    pages = (
        "README.md", "docs/howto/deploy.md", "docs/howto/rotate-the-secret.md",
        "docs/howto/watch-cronbell.md", "CONTRIBUTING.md",
    )  # fmt: skip
    explained = " ".join(source.text(source.ROOT / page) for page in pages)
    assert not [name for name in read - NOT_OURS if f"`{name}`" not in explained]


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_takes_the_units(tmp_path: Path, unit: str):
    program = machine.require("systemd")
    for name in UNITS:
        text = source.text(DEPLOY / "systemd" / name)
        # What is started needs to be there for systemd to be content.
        (tmp_path / name).write_text(text.replace("/opt/cronbell/bin/cronbell", sys.executable))
    asked = tmp_path / unit.replace("@.", "@web.")
    for command in (
        ["verify", "--man=no", asked],
        ["security", "--offline=yes", f"--threshold={EXPOSURE}", "--no-pager", tmp_path / unit],
    ):
        answer = subprocess.run(
            [program, *command], capture_output=True, text=True, timeout=30, check=False
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        ours = [line for line in answer.stderr.splitlines() if str(tmp_path) in line]
        assert not ours


def test_sabotage_a_unit_without_its_hardening_is_over_the_threshold(tmp_path: Path):
    program = machine.require("systemd")
    text = source.text(DEPLOY / "systemd" / "cronbell.service")
    bare = tmp_path / "bare.service"
    hardening = re.compile(r"^(Protect|Private|Restrict|System|Capab).*\n", re.MULTILINE)
    bare.write_text(hardening.sub("", text))
    command = ["security", "--offline=yes", f"--threshold={EXPOSURE}", "--no-pager", bare]
    answer = subprocess.run([program, *command], capture_output=True, timeout=30, check=False)
    assert answer.returncode != 0


def test_the_units_differ_in_what_they_start_alone():
    one, part = (settings(unit) for unit in UNITS)
    assert set(one) ^ set(part) == {
        "Description=Cronbell: pages, API and runner",
        "Description=Cronbell: %i",
        "Conflicts=cronbell.service",
        "ExecStart=/opt/cronbell/bin/cronbell up",
        "ExecStart=/opt/cronbell/bin/cronbell up --only %i",
    }


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    shutil.copy(source.ROOT / "tests/dispatch/certificates/good.pem", tmp_path / "both.pem")
    return tmp_path / "both.pem"


def test_nginx_passes_on_who_asks_and_how(
    nginx: Path, process, tmp_path: Path, free_port: int, certificate: Path, wait_until
):
    from cronbell.testing import ScriptedTarget, answers

    machine.require("curl")
    with ScriptedTarget(default=answers.ok()) as target:
        site = source.text(DEPLOY / "nginx" / "cronbell.conf")
        site = re.sub(r"/etc/letsencrypt\S+(?=;)", str(certificate), site)
        site = site.replace("127.0.0.1:8000", target.url("").removeprefix("http://"))
        # One socket is enough to see the part that speaks TLS.
        site = re.sub(r"listen \[::\]\S+( ssl)?;\n", "", site)
        site = site.replace("listen 443", f"listen 127.0.0.1:{free_port}")
        site = re.sub(r"listen 80;", f"listen unix:{tmp_path}/plain;", site)
        (tmp_path / "site.conf").write_text(site)
        paths = "".join(
            f"{kind}_temp_path {tmp_path}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        main = tmp_path / "nginx.conf"
        main.write_text(
            f"daemon off; pid {tmp_path}/pid; error_log stderr;\nevents {{}}\n"
            f"http {{ access_log off;\n{paths}include {tmp_path}/site.conf; }}\n"
        )
        checked = process(nginx, "-t", "-e", "stderr", "-c", main)
        assert checked.wait() == 0, checked.output()
        server = process(nginx, "-e", "stderr", "-c", main)
        base = f"https://127.0.0.1:{free_port}/api/cron/digest"
        forged = ["-H", "X-Forwarded-Proto: http", "-H", "X-Forwarded-For: 6.6.6.6"]
        options = ["-sk", "--retry", "20", "--retry-connrefused", "--retry-delay", "0", *forged]
        asked = process("curl", *options, "-H", "Host: cron.example.com", base)
        assert asked.wait() == 0, asked.output() + server.output()
        (seen,) = target.requests
    assert seen.header("Host") == "cron.example.com"
    assert seen.header("X-Forwarded-Proto") == "https"
    assert seen.header("X-Forwarded-For") == "127.0.0.1"


def test_sabotage_the_reader_of_containerfiles_sees_every_form():
    found = stages('FROM a:1 AS base\nENV A="1" \\\n  B="2"\nFROM base AS b\nCMD x y\n# end\n')
    assert found["b"].environment == {"A": "1", "B": "2"}
    assert found["b"].image == "a:1"
    assert found["b"].last("CMD") == "x y"
    with pytest.raises(json.JSONDecodeError):
        json.loads(found["b"].last("CMD"))
