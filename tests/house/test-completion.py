"""test-completion.py - the completions of the shell offer what the programs know."""

import pathlib
import subprocess
import sys

import house

COMPLETIONS = pathlib.Path(__file__).resolve().parent.parent.parent / 'data' / 'completions'


def complete(program, *words):
    script = f'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _{program}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(['bash', '-c', script, 'bash', str(COMPLETIONS / program), program, *words], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    return done.stdout.split()


def test_confserv_options():
    assert complete('confserv', '-ho') == ['-host']
    assert complete('confserv', '--ho') == ['--host']
    assert '-rescue-port' in complete('confserv', '-')
    assert complete('confserv', '-log-ver') == ['-log-verbose']


def test_confserv_options_of_plugins():
    assert complete('confserv', '-dump') == ['-dumpauditxml']
    assert complete('confserv', '-la') == ['-last']


def test_confserv_values():
    assert complete('confserv', '-log-verbose', 'd') == ['debug']


house.run(sys.modules[__name__])
