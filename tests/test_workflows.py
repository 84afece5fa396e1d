"""GitHub's workflows and the action: what an exit status of the gate means for a job, and that they parse."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from reports.console import gate as report

HOUSE = Path(__file__).parent.parent
GITHUB = HOUSE / ".github"
ACTION = GITHUB / "actions" / "gate"
COMMENT = GITHUB / "actions" / "gate-comment"
FILES = sorted(path for folder in ("actions", "workflows") for path in (GITHUB / folder).rglob("*.yml"))
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
SCRIPTS = sorted(GITHUB.rglob("*.sh"))

FAKE_PYTHON = """#!/bin/sh
printf '%s\\n' "$PWD" "$@" > "$SEEN"
for last; do :; done
folder=$(dirname "$last")
if [ "$RESULT" = 1 ]; then echo "### the table" > "$folder/gate.md"; echo '{}' > "$folder/gate.json"; fi
if [ -n "$SAID" ]; then echo "$SAID" >&2; fi
exit "$STATUS"
"""
FAKE_GH = """#!/bin/sh
echo "$@" >> "$SEEN"
for last; do :; done
case "$*" in
  *repos/o/r/pulls*head=ada:topic*) [ "$READS" = 1 ] && printf '%s' "$PULLS" ;;
  *actions/runs/5/artifacts*) printf '%s' "$ARTIFACTS" ;;
  *actions/artifacts/*/zip) cat "$ZIP" ;;
  *issues/7/comments*--jq*) [ "$READS" = 1 ] && printf '%s' "$FOUND" ;;
  *) [ "$WRITES" = 1 ] && cp "${last#body=@}" "$SEEN.body" ;;
esac
"""


class Ended(NamedTuple):
    """How a script ended: its status, what it printed, the files GitHub reads, and what it called with."""

    status: int
    printed: str
    outputs: str
    summary: str
    seen: list[str]


def ran(script: Path, folder: Path, fakes: dict[str, str], **environment: str) -> Ended:
    """Run a script of an action in `folder` with some programs replaced."""
    (folder / "bin").mkdir()
    for name, text in fakes.items():
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    files = {name: str(folder / name.lower()) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "SEEN")}
    own = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", **files, **environment}
    done = subprocess.run(
        ["bash", script], cwd=folder, env=own, capture_output=True, text=True, check=False, timeout=30
    )
    outputs, summary, seen = (Path(f).read_text() if Path(f).exists() else "" for f in files.values())
    return Ended(done.returncode, done.stdout + done.stderr, outputs, summary, seen.splitlines())


def gate(folder: Path, status: int, result: bool, said: str = "", **inputs: str) -> Ended:
    (folder / "suite").mkdir()
    where = {"GATE_SUITE": str(folder / "suite"), "GATE_RESULTS": str(folder / "results")}
    fake = {"STATUS": str(status), "RESULT": str(int(result)), "SAID": said}
    return ran(ACTION / "gate.sh", folder, {"python": FAKE_PYTHON}, **where, **fake, **inputs)


def comment(
    folder: Path, text: str = "### the table\n", pulls: str = "7\n", artifacts: str = "3 900 gate-gate-0\n",
    found: str = "", reads: bool = True, writes: bool = True, **files: str,
) -> Ended:  # fmt: skip
    """Comment on what a gate left in an artifact: its `text`, and more `files`."""
    with zipfile.ZipFile(folder / "artifact.zip", "w") as archive:
        for name, content in {"gate.md": text, **files}.items():
            archive.writestr(name, content)
    about = {"GATE_RUN": "5", "GATE_SHA": "abc", "GATE_BRANCH": "ada:topic", "GITHUB_REPOSITORY": "o/r"}
    fake = {"PULLS": pulls, "ARTIFACTS": artifacts, "ZIP": str(folder / "artifact.zip"), "FOUND": found}
    allowed = {"READS": str(int(reads)), "WRITES": str(int(writes))}
    return ran(COMMENT / "comment.sh", folder, {"gh": FAKE_GH}, **about, **fake, **allowed)


def parsed(path: Path) -> dict[str, Any]:
    """A file with every value a text: YAML would take `on` for a boolean and 3.10 for 3.1."""
    found: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    return found


def steps(path: Path) -> list[dict[str, Any]]:
    content = parsed(path)
    if "runs" in content:
        return list(content["runs"]["steps"])
    return [step for job in content["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize(
    ("status", "verdict", "passes", "annotation"),
    [
        (0, "pass", True, ""),
        (1, "regression", False, "::error title=gate::a regression"),
        (4, "inconclusive", True, "::warning title=gate::undecided"),
    ],
)
def test_only_a_regression_fails_where_the_gate_has_a_result(
    tmp_path: Path, status: int, verdict: str, passes: bool, annotation: str
) -> None:
    ended = gate(tmp_path, status, result=True)
    assert ended.status == (0 if passes else 1)
    assert ended.outputs == f"verdict={verdict}\nstatus={status}\n"
    assert ended.summary == "### the table\n"
    assert annotation in ended.printed
    assert ended.printed.count("::") == (2 if annotation else 0)


@pytest.mark.parametrize("status", [2, 3])
def test_no_baseline_or_no_machine_fails_with_the_message(tmp_path: Path, status: int) -> None:
    ended = gate(tmp_path, status, result=False, said="error: there is no run runs/base (100% sure)")
    assert ended.status == 1
    assert ended.outputs == f"verdict=error\nstatus={status}\n"
    assert "::error title=gate::error: there is no run runs/base (100%25 sure)" in ended.printed
    assert "there is no run runs/base (100% sure)" in ended.summary


@pytest.mark.parametrize("status", [0, 1, 4, 137])
def test_a_gate_without_a_result_is_an_error_whatever_its_status(tmp_path: Path, status: int) -> None:
    ended = gate(tmp_path, status, result=False, said="Traceback (most recent call last):")
    assert ended.status == 1
    assert ended.outputs == f"verdict=error\nstatus={status}\n"
    assert f"broke down with exit status {status}" in ended.printed
    assert f"broke down with exit status {status}" in ended.summary


def test_an_earlier_result_is_not_taken_for_this_one(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "gate.json").write_text("{}")
    (tmp_path / "results" / "gate.md").write_text("all is well")
    ended = gate(tmp_path, 0, result=False)
    assert (ended.status, "all is well" in ended.summary) == (1, False)


def test_a_suite_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    ended = ran(ACTION / "gate.sh", tmp_path, {"python": FAKE_PYTHON}, GATE_SUITE="nowhere", GATE_RESULTS="results")
    assert ended.status == 1
    assert ended.seen == []


def test_the_gate_runs_in_the_suites_folder_on_the_callers_runs(tmp_path: Path) -> None:
    ended = gate(tmp_path, 0, True, GATE_BASE="runs/base one", GATE_HEAD="/runs/head", GATE_ARGUMENTS="--points 3\n * ")
    folder, *arguments = ended.seen
    assert folder == str(tmp_path / "suite")
    assert arguments[:8] == [
        "-m", "benchmarks", "gate", str(tmp_path / "runs/base one"), "/runs/head", "--points", "3", "*",
    ]  # fmt: skip
    assert arguments[8::2] == ["--markdown", "--junit", "--json"]


def test_the_gate_takes_a_commit_in_place_of_runs(tmp_path: Path) -> None:
    ended = gate(tmp_path, 0, True, GATE_BASE="", GATE_HEAD="", GATE_BASE_REF="origin/main")
    assert ended.seen[1:6] == ["-m", "benchmarks", "gate", "--base-ref", "origin/main"]


def test_the_first_push_writes_the_comment(tmp_path: Path) -> None:
    ended = comment(tmp_path)
    assert ended.status == 0
    assert ended.seen[-1].startswith("api --silent --method POST repos/o/r/issues/7/comments ")
    assert (tmp_path / "seen.body").read_text() == "<!-- gate-gate-0 -->\n### the table\n"


def test_later_pushes_update_the_comment(tmp_path: Path) -> None:
    ended = comment(tmp_path, found="41\n42\n")
    assert ended.status == 0
    assert ended.seen[-1].startswith("api --silent --method PATCH repos/o/r/issues/comments/42 ")


@pytest.mark.parametrize(
    "about",
    [{"reads": False}, {"pulls": ""}, {"pulls": "7; echo\n"}, {"artifacts": ""}],
    ids=["token", "older", "no number", "no result"],
)
def test_where_there_is_nothing_to_comment_on_nothing_is_written(tmp_path: Path, about: dict[str, Any]) -> None:
    ended = comment(tmp_path, **about)
    assert ended.status == 0
    assert "::notice title=gate::no comment: " in ended.printed
    assert not any("POST" in call or "PATCH" in call for call in ended.seen)


def test_a_comment_that_cannot_be_written_fails(tmp_path: Path) -> None:
    assert comment(tmp_path, writes=False).status == 1


def test_every_gate_of_a_run_has_a_comment_and_no_more_than_ten(tmp_path: Path) -> None:
    ended = comment(tmp_path, artifacts="".join(f"{n} 900 gate-job-{n}\n" for n in range(12)))
    assert sum("POST" in call for call in ended.seen) == 10


def test_a_result_that_is_too_large_is_not_fetched(tmp_path: Path) -> None:
    ended = comment(tmp_path, artifacts="3 50000001 gate-gate-0\n")
    assert (ended.status, any("zip" in call for call in ended.seen)) == (0, False)
    assert "::warning title=gate::gate-gate-0 has 50000001 bytes" in ended.printed


HOSTILE = (
    "### ❌ gate\n@team &#64;team &commat;team #12 &#35;12 [a](http://e.org) ![a](https://e.org/x.png) `$(touch ran)` "
    "$(touch ran) <img src=x> <!-- gate-gate-1 --> www.e.org \x1b[31m \u202eabc <sub>base: a</sub> &#124; &lt;b\n"
)


def test_what_a_gate_wrote_is_shown_and_mentions_links_and_runs_nothing(tmp_path: Path) -> None:
    ended = comment(tmp_path, text=HOSTILE, **{"../../evil.sh": "touch ran", "gate.json": "{}"})
    body = (tmp_path / "seen.body").read_text()
    assert ended.status == 0
    assert body == (
        "<!-- gate-gate-0 -->\n### ❌ gate\n&#64;&#8203;team &#64;&#8203;team &amp;commat;team &#35;&#8203;12 "
        "&#35;&#8203;12 &#91;a](http:&#47;/e.org) !&#91;a](https:&#47;/e.org/x.png) &#96;$(touch ran)&#96; "
        "$(touch ran) &lt;img src=x> &lt;!-- gate-gate-1 --> www&#46;e.org &#91;31m abc <sub>base: a</sub> &#124; "
        "&amp;lt;b\n"
    )
    assert not (tmp_path / "ran").exists()
    assert not list(tmp_path.rglob("evil.sh"))


def test_what_the_gate_writes_is_shown_as_it_writes_it(tmp_path: Path) -> None:
    check = {
        "method": "sdpoint", "variant": "bn=uniform", "backbone": "resnet8", "dataset": "a|b@c#1 <x>", "seed": 0,
        "point": "p_[1]*", "metric": "MACs", "base": 1000, "head": 2000, "verdict": "regression", "note": "exact",
    }  # fmt: skip
    record = {"verdict": "regression", "checks": [check], "latency": "none", "base": "a", "head": "b"}
    written = report.markdown(record)
    comment(tmp_path, text=written)
    shown = (tmp_path / "seen.body").read_text().partition("\n")[2]
    assert shown.replace("&#8203;", "") == written.replace("&#8203;", "")


@pytest.mark.parametrize("text", ["x" * 300_000, "❌" * 100_000, "&" * 300_000])
def test_a_comment_is_never_longer_than_a_comment_may_be(tmp_path: Path, text: str) -> None:
    assert comment(tmp_path, text=text).status == 0
    assert 50_000 < len((tmp_path / "seen.body").read_text().encode()) < 65_536


def test_actions_are_githubs_own_or_the_repositorys_pinned_by_commit_with_their_version_beside_them() -> None:
    pinned = r"uses: actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+"
    lines = [line for path in FILES for line in path.read_text(encoding="utf-8").splitlines()]
    used = [line.strip(" -") for line in lines if "uses: " in line and not line.startswith("#")]
    assert len(used) > 10
    assert [line for line in used if not re.fullmatch(rf"{pinned}|uses: \./[\w./-]+", line)] == []


def test_one_commit_stands_for_one_version_everywhere() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (*FILES, HOUSE / "docs" / "gate.md")]
    pins = {pin for text in texts for pin in re.findall(r"(actions/[a-z-]+)@([0-9a-f]{40}) # (v[0-9.]+)", text)}
    assert len({name for name, _, _ in pins}) == len(pins)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_shell_parts_parse_and_take_nothing_from_the_event_as_code(path: Path) -> None:
    for step in steps(path):
        if "run" in step:
            assert "${{" not in step["run"]
            subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True, timeout=10)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse_and_are_run_by_the_action_beside_them(path: Path) -> None:
    subprocess.run(["bash", "-n", path], check=True, timeout=10)
    assert any(f"/{path.name}" in step.get("run", "") for step in steps(path.parent / "action.yml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_outputs_and_inputs_that_are_named_exist(path: Path) -> None:
    text, content = path.read_text(encoding="utf-8"), parsed(path)
    known = {step["id"] for step in steps(path) if "id" in step}
    assert set(re.findall(r"steps\.(\w+)\.", text)) <= known
    assert set(re.findall(r"inputs\.([\w-]+)", text)) <= set(content.get("inputs", ()))
    given = [step["with"] for step in steps(path) if step.get("uses") == "./.github/actions/gate"]
    assert all(set(one) <= set(parsed(ACTION / "action.yml")["inputs"]) for one in given)


def workflows() -> dict[str, dict[str, Any]]:
    return {path.stem: parsed(path) for path in FILES if path.parent.name == "workflows"}


def test_only_the_job_that_comments_may_write() -> None:
    reading = {"contents": "read"}
    allowed = {name: content["permissions"] for name, content in workflows().items()}
    assert allowed == {"ci": reading, "leaderboard": reading, "gate": reading, "gate-comment": {}}
    jobs = {
        (name, job): content["jobs"][job]["permissions"]
        for name, content in workflows().items()
        for job in content["jobs"]
        if "permissions" in content["jobs"][job]
    }
    assert jobs == {("gate-comment", "comment"): reading | {"actions": "read", "pull-requests": "write"}}
    tokens = [step for path in FILES for step in steps(path) if "token" in str(step)]
    assert [step["name"] for step in tokens] == ["comment"]


def test_the_job_that_may_write_runs_no_code_of_the_pull_request() -> None:
    """It is started by the gate's end, so it is the workflow of the default branch, and takes its own action there."""
    content = workflows()["gate-comment"]
    assert content["on"] == {"workflow_run": {"workflows": [workflows()["gate"]["name"]], "types": ["completed"]}}
    first, second = content["jobs"]["comment"]["steps"]
    assert first["uses"].startswith("actions/checkout@")
    assert first["with"] == {"ref": "${{ github.event.repository.default_branch }}", "persist-credentials": "false"}
    assert second == {"uses": "./.github/actions/gate-comment"}
    (step,) = steps(COMMENT / "action.yml")
    assert step["run"] == 'bash "$GITHUB_ACTION_PATH/comment.sh"'
    assert set(step["env"]) == {"GH_TOKEN", "GATE_RUN", "GATE_SHA", "GATE_BRANCH"}
    commands = set(re.findall(r"^\s*(?:\w+=\$\()?(\w+) ", (COMMENT / "comment.sh").read_text(), re.MULTILINE))
    assert not commands & {"python", "bash", "eval", "source", "git", "sh"}


def test_continuous_integration_is_the_same_here_and_there() -> None:
    local = (HOUSE / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    there = [step["run"] for step in steps(GITHUB / "workflows" / "ci.yml") if "run" in step]
    last = max(i for i, line in enumerate(local) if line.startswith("echo"))
    assert there[-4:] == local[last + 1 :]
    assert "python -m pytest" in there


def test_every_supported_python_is_tested() -> None:
    matrix = parsed(GITHUB / "workflows" / "ci.yml")["jobs"]["tests"]["strategy"]["matrix"]["python"]
    tox = (HOUSE / "tox.ini").read_text(encoding="utf-8")
    minors = re.search(r"py3\{([\d,]+)\}", tox)
    assert minors is not None
    assert [f"3.{minor}" for minor in minors[1].split(",")] == matrix


def test_the_oldest_dependencies_are_tested_as_well_as_the_newest_and_both_every_week() -> None:
    workflow = parsed(GITHUB / "workflows" / "ci.yml")
    runs = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in workflow["jobs"].items()}
    assert runs["oldest"] == ['python -m pip install "tox>=4.20"', "python -m tox -e oldest"]
    assert 'python -m pip install -e ".[test]"' in runs["tests"]
    (weekly,) = workflow["on"]["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* \d", weekly["cron"])


def test_verbs_and_options_that_are_named_exist() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (*FILES, *SCRIPTS, HOUSE / ".ci" / "run")]
    named = {verb for text in texts for verb in re.findall(r"python -m benchmarks ([a-z-]+)", text)}
    options = set(re.findall(r"(--[a-z-]+) \"\$", (ACTION / "gate.sh").read_text(encoding="utf-8")))
    assert named == {"gate", "baseline", "leaderboard"}
    assert options == {"--base-ref", "--markdown", "--junit", "--json"}
    for verb in named:
        command = [sys.executable, "-m", "benchmarks", verb, "--help"]
        shown = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, check=False, timeout=60)
        assert shown.returncode == 0, f"{verb}: {shown.stderr}"
        assert verb != "gate" or options <= set(re.findall(r"--[a-z-]+", shown.stdout))


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_forms_of_issues_ask_for_something_and_say_what_for(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert form.keys() >= {"name", "description", "body"}
    assert any(field["validations"]["required"] for field in form["body"] if "validations" in field)
    assert len({field["id"] for field in form["body"]}) == len(form["body"])
    assert all(field["attributes"]["label"] for field in form["body"])


def test_what_runs_before_a_commit_is_what_the_checks_run() -> None:
    repos = yaml.safe_load((HOUSE / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    (own,) = (repo["hooks"] for repo in repos if repo["repo"] == "local")
    tools = {hook["entry"].removesuffix(" --fix") for hook in own}
    assert tools == {"ruff check", "ruff format", "mypy"}
    checks = (HOUSE / "tox.ini").read_text(encoding="utf-8")
    assert all(tool in checks for tool in tools)
