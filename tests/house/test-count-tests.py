"""test-count-tests.py - the last line of scripts/test says what happened, and a failure cannot hide."""

import json
import pathlib
import subprocess
import sys
import tempfile

import house

SCRIPT = pathlib.Path(__file__).resolve().parent.parent.parent / 'scripts' / 'count-tests'


def count(*tests, options=()):
    """Exit status, last line and all lines for tests given as (result, stdout)."""
    with tempfile.NamedTemporaryFile('w', suffix='.json', encoding='utf-8') as log:
        for number, (result, stdout) in enumerate(tests):
            entry = {'name': f't{number}', 'result': result, 'stdout': stdout, 'returncode': 0}
            log.write(json.dumps(entry) + '\n')
        log.flush()
        run = subprocess.run([sys.executable, SCRIPT, *options, log.name], capture_output=True, text=True, timeout=60)
        assert run.stderr == '', run.stderr
        return run.returncode, run.stdout.splitlines()[-1], run.stdout


def expect(status, line, *tests, options=()):
    got_status, got_line, text = count(*tests, options=options)
    assert (got_status, got_line) == (status, line), (got_status, text)
    return text


def test_cases_are_counted():
    expect(0, '4 passed, 0 failed', ('OK', '# seed\n1..3\nok 1 /a\nok 2 /b\nok 3 /c\n'), ('OK', 'no tap'))


def test_failed_case():
    expect(1, '1 passed, 1 failed', ('FAIL', '1..2\nok 1 /a\nnot ok 2 /b - ERROR\n'))


def test_failed_case_before_the_abort_counts_once():
    expect(1, '1 passed, 1 failed', ('ERROR', '1..3\nok 1 /a\nnot ok 2 /b\nBail out! x\n'))


def test_bad_end_after_good_cases():
    for result in ('FAIL', 'ERROR', 'TIMEOUT', 'INTERRUPT', 'UNEXPECTEDPASS'):
        expect(1, '2 passed, 1 failed', (result, '1..2\nok 1 /a\nok 2 /b\n'))


def test_program_without_tap():
    expect(1, '0 passed, 1 failed', ('FAIL', ''))
    expect(1, '0 passed, 1 failed', ('TIMEOUT', '1..3\n'))


def test_skips():
    cases = ('OK', '1..2\nok 1 /a\nok 2 /b # SKIP missing: slapd\n')
    text = expect(0, '1 passed, 0 failed, 1 skipped', cases)
    assert 'missing: slapd' in text
    expect(1, '1 passed, 1 failed', cases, options=['--components-required'])
    slow = ('OK', '1..2\nok 1 /a\nok 2 /b # SKIP only with -m slow\n')
    expect(0, '1 passed, 0 failed, 1 skipped', slow, options=['--components-required'])
    program = ('SKIP', '1..0 # SKIP slapd is not installed\n')
    expect(0, '1 passed, 0 failed, 1 skipped', program, ('OK', ''))
    expect(1, '1 passed, 1 failed', program, ('OK', ''), options=['--components-required'])


def test_nothing_ran():
    expect(1, '0 passed, 0 failed')
    expect(1, '0 passed, 0 failed, 1 skipped', ('SKIP', 'why'))


def test_subtests_are_counted_without_their_sum():
    tap = '1..2\n    ok 1 /a/x\n    ok 2 /a/y\nok 1 a\n    ok 1 /b/x\nok 2 b\n'
    expect(0, '3 passed, 0 failed', ('OK', tap))
    expect(1, '1 passed, 1 failed', ('FAIL', '1..1\n    ok 1 /a/x\n    not ok 2 /a/y\nnot ok 1 a\n'))


house.run(sys.modules[__name__])
