#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Completions: what bash, zsh and fish offer, from the same table as --help."""
import contextlib
import os
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time

from rig import LIMIT_S, TENON, Server, Skip, expect, run, tenon, test, wait_for
from watching import Folder


@contextlib.contextmanager
def script(shell):
    """The completions for SHELL in a file; skips where there is no such shell."""
    if not shutil.which(shell):
        raise Skip(f"{shell} is not installed")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "_tenon")
        with open(path, "wb") as file:
            file.write(expect(tenon("--completion", shell), 0).out)
        yield path


def shell_says(*words, **options):
    """What a shell prints; it says nothing else and succeeds."""
    result = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_S, check=False,
                            **options)
    assert result.returncode == 0 and result.stderr == "", (words, result)
    return result.stdout.splitlines()


def bash_offers(path, *words, folder="."):
    """What bash offers for the last of WORDS."""
    said = shell_says("bash", "--norc", "-c", 'source "$1"; shift; COMP_WORDS=(tenon "$@"); '
                      'COMP_CWORD=$#; _tenon; printf "%s\\n" "${COMPREPLY[@]}"', "-", path, *words,
                      cwd=folder)
    return [line for line in said if line]


def shown_options(verb):
    """The long options that --help shows."""
    text = expect(tenon(verb, "--help"), 0).out.decode().split("usage:")[1]
    return set(re.findall(r"^ +(?:-\w, )?(--[a-z0-9-]+)", text, re.M))


def verbs():
    return re.findall(r"^  tenon (\w+) +\w", expect(tenon("--help"), 0).out.decode().split(
        "\n\n")[2], re.M)


@test
def bash_offers_verbs_options_and_files():
    with script("bash") as path:
        assert bash_offers(path, "se") == ["serve", "send"]
        assert set(verbs()) <= set(bash_offers(path, "")), verbs()
        assert bash_offers(path, "connect", "--con") == ["--connect-timeout"]
        assert bash_offers(path, "--con") == ["--connect-timeout"]
        assert bash_offers(path, "serve", "") == ["echo", "discard", "chargen", "daytime", "time",
                                                   "bench"]
        assert bash_offers(path, "serve", "d") == ["discard", "daytime"]
        assert bash_offers(path, "-l", "--ke") == ["--keep-open"]
        assert bash_offers(path, "connect", "--ke") == []
        assert bash_offers(path, "recv", "--max-time", "") == []
        with tempfile.TemporaryDirectory() as folder:
            for name in ("a file", "another"):
                with open(os.path.join(folder, name), "wb"):
                    pass
            assert sorted(bash_offers(path, "send", "h:1", "a", folder=folder)) == ["a file", "another"]
            assert bash_offers(path, "connect", "-o", "ano", folder=folder) == ["another"]
            assert bash_offers(path, "compare", "ano", folder=folder) == ["another"]
        for verb in verbs():
            offered = set(bash_offers(path, verb, "--"))
            assert shown_options(verb) - {"--listen"} <= offered, verb
            assert offered <= shown_options(verb) | {"--help", "--version", "--listen"}, verb


@contextlib.contextmanager
def edge_runs():
    """A server of that name, and a `tenon` that finds it."""
    with Folder() as folder, Server("serve", "echo", "127.0.0.1:0", "--name", "edge"):
        os.mkdir(f"{folder.folder.name}/bin")
        os.symlink(os.path.abspath(TENON), f"{folder.folder.name}/bin/tenon")
        os.environ["PATH"] = f"{folder.folder.name}/bin:{os.environ['PATH']}"
        yield


@test
def bash_offers_what_runs_to_ctl_and_top():
    with script("bash") as path, edge_runs():
        for verb in "ctl", "top":  # who does not answer within a second is not offered
            wait_for(lambda: bash_offers(path, verb, "e") == ["edge"], "the name")


@test
def the_script_for_bash_has_nothing_that_shellcheck_minds():
    if not shutil.which("shellcheck"):
        raise Skip("shellcheck is not installed")
    with script("bash") as path:
        shell_says("shellcheck", "-s", "bash", path)


@test
def zsh_reads_its_script_and_is_given_the_options_of_the_verb():
    with script("zsh") as path:
        shell_says("zsh", "-f", "-n", path)

        def given(*words):
            return shell_says("zsh", "-f", "-c", """
                _arguments() { print -rl -- "$@" }
                _describe() { print -rl -- ${(P)4} }
                _hosts() { : }
                script=$1; shift; words=(tenon "$@"); CURRENT=$#words; source $script""",
                              "-", path, *words)

        names = [line.split(":")[0] for line in given("")]
        assert names == verbs(), names
        for verb in verbs():
            found = {option for line in given(verb, "--")
                     for option in re.findall(r"^(?:\(.*\))?(--[a-z0-9-]+)", line)}
            assert shown_options(verb) - {"--listen"} <= found, (verb, found)
            assert found <= shown_options(verb) | {"--help", "--version", "--listen"}, verb
        assert "*:file:_files" in given("send", "") and "*:file:_files" in given("compare", "")
        assert any(line.startswith("1:name:($(tenon ctl ") for line in given("ctl", ""))
        assert any("--keep-open" in line for line in given("-l", ""))


def read_until(terminal, wanted):
    """What comes from TERMINAL, but for its bells, until WANTED is in it."""
    seen, end = b"", time.monotonic() + LIMIT_S / 2
    while wanted not in seen:
        assert select.select([terminal], [], [], max(0, end - time.monotonic()))[0], seen
        seen += os.read(terminal, 4096).replace(b"\a", b"")
    return seen


@test
def zsh_itself_completes_with_it():
    with script("zsh") as path:
        terminal, other = pty.openpty()
        with subprocess.Popen(["zsh", "-f", "-i"], stdin=other, stdout=other, stderr=other,
                              start_new_session=True, env={**os.environ, "TERM": "dumb"}) as shell:
            os.close(other)
            try:
                type_into(terminal, os.path.dirname(path))
            finally:
                shell.kill()
        os.close(terminal)


def type_into(terminal, folder):
    """Have the zsh on TERMINAL complete some words by the script in FOLDER."""
    os.write(terminal, f"fpath=({folder} $fpath); autoload -Uz compinit\n"
             "compinit -u -D; print IS''OVER\n".encode())
    if b"function definition file not found" in read_until(terminal, b"ISOVER"):
        raise Skip("zsh's own completion functions are not installed")
    for typed, wanted in (("recv --forc", b"--force"), ("serve disc", b"discard"),
                          ("exp", b"explain")):
        os.write(terminal, f"\x15tenon {typed}\t".encode())
        read_until(terminal, wanted)


@test
def fish_offers_verbs_and_the_options_of_each():
    with script("fish") as path, tempfile.TemporaryDirectory() as home:
        shell_says("fish", "-N", "-n", path, env={**os.environ, "HOME": home})

        def offers(line):
            said = shell_says("fish", "-N", "-c", f"source {path}; complete -C '{line}'",
                              env={**os.environ, "HOME": home})
            return [one.split("\t")[0] for one in said]

        assert offers("tenon sen") == ["send"], offers("tenon sen")
        assert set(verbs()) <= set(offers("tenon "))
        assert set(offers("tenon serve d")) >= {"discard", "daytime"}
        for verb in verbs():
            found = {one for one in offers(f"tenon {verb} --") if one.startswith("--")}
            assert shown_options(verb) - {"--listen"} <= found, (verb, shown_options(verb) - found)
            assert found <= shown_options(verb) | {"--help", "--version", "--listen"}, verb
        assert "--connect-timeout" in offers("tenon --con")
        assert "localhost" not in offers("tenon ctl ") + offers("tenon compare ")
        with edge_runs():
            wait_for(lambda: offers("tenon ctl e") == offers("tenon top e") == ["edge"], "the name")


@test
def another_shell_is_exit_2():
    expect(tenon("--completion", "tcsh"), 2, "none of bash, zsh and fish")
    with open("/dev/full", "wb") as full:
        assert tenon("--completion", "bash", stdout=full).code == 8


run()
