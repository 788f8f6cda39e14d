"""test-demo.py BUILD TEST... - scripts/demo runs to its end with what is built, shows what it says, and leaves nothing behind."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import house

BUILD = pathlib.Path(sys.argv[1]).resolve()
TOP = pathlib.Path(__file__).resolve().parent.parent.parent
DEADLINE_S = 240


class Demo:
    """A run of its own in a folder of its own; whatever happens, it and what it has started is ended, by pid."""

    def __init__(self, port, *arguments):
        self.folder = tempfile.TemporaryDirectory()
        environment = dict(os.environ, CONFSERV_DEMO_BUILD=str(BUILD), CONFSERV_DEMO_RUN=self.folder.name + '/run',
                           CONFSERV_DEMO_PORT=str(port))
        self.process = subprocess.Popen([TOP / 'scripts' / 'demo', *arguments], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        for pid in self.servers():
            os.kill(pid, signal.SIGKILL)
        self.folder.cleanup()

    def servers(self):
        """Pids of what runs in the folder."""
        found = []
        for entry in pathlib.Path('/proc').iterdir():
            if entry.name.isdigit():
                try:
                    folder = os.readlink(entry / 'cwd')
                except OSError:
                    continue
                if folder.startswith(self.folder.name + '/'):
                    found.append(int(entry.name))
        return found

    def finish(self):
        output, _ = self.process.communicate(timeout=DEADLINE_S)
        assert self.process.returncode == 0, f'status {self.process.returncode}\n{output}'
        assert 'Sanitizer' not in output, output
        for log in pathlib.Path(self.folder.name).glob('run/*/log'):
            text = log.read_text(errors='replace')
            assert 'Sanitizer' not in text and 'runtime error' not in text, text[-4000:]
        return output


def expect(output, *texts):
    """Each of these patterns, in this order."""
    at = 0
    for text in texts:
        found = re.search(text, output[at:])
        assert found, f'{text} is missing, or too early, in:\n{output}'
        at += found.end()


def wait_for(what, condition):
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, f'{what} did not happen'
        time.sleep(0.05)


MAIN = ('Take what is built', r'confserv \d+\.\d+', 'Make certificates', 'Make a database',
        r'primary on port \d+, pid \d+', r'proxy bergen on port \d+, pid \d+, \d{3,} objects',
        r'proxy porto on port \d+, pid \d+, \d{3,} objects', r'primary: \d+ handshakes of TLS',
        'the keep-alive watches over', 'a client of proxy bergen watches', 'a client of proxy porto watches',
        r'the client of proxy bergen sees, within \d+ ms', r'the client of proxy porto sees, within \d+ ms', r'10\.1\.0\.80',
        'history of /Environment/Hosts/Bergen/ber-web1', r'primary \(pid \d+\) is killed by signal 9',
        'proxy bergen: its master is gone; a new client logs in and reads address 10.1.0.80',
        'proxy porto: its master is gone; a new client logs in and reads address 10.1.0.80',
        'a write at a proxy is refused', 'primary is back', r'proxy bergen: masterResumes [1-9]\d*, masterSnapshots 1',
        r'proxy porto: masterResumes [1-9]\d*, masterSnapshots 1', r'10\.1\.0\.22')
DIRECTORY = ('bjorn.aasen logs in at proxy bergen with the directory\'s password',
             r'bjorn.aasen, with a wrong password, is refused: .*"code":-32001,.*"text":"[^"]+"',
             'diogo.berg, whom the directory has locked, is refused: .*"code":-32001,.*"text":"Account locked"',
             'bjorn.aasen logs in at proxy bergen while the primary is killed',
             r'bjorn.aasen logs in at proxy bergen while the directory is stopped too \(offline-login\)',
             'carla.barros, who did not log in before, is refused: .*"code":-32013,',
             'the primary and the directory are back')
END = ('proxy-bergen is stopped', 'proxy-porto is stopped', 'primary is stopped')


def test_once():
    with Demo(12120, '--once') as demo:
        expect(demo.finish(), *MAIN, *END, r'All steps went as they should\.\s*$')
        assert demo.servers() == []


def test_with_ldap():
    with Demo(12220, '--with-ldap', '--once') as demo:
        expect(demo.finish(), *MAIN, *DIRECTORY, *END, 'the directory is stopped', r'All steps went as they should\.\s*$')
        assert demo.servers() == []


def test_interrupted():
    with Demo(12320, '--once') as demo:
        wait_for('the first server', lambda: len(demo.servers()) >= 1)
        demo.process.send_signal(signal.SIGTERM)
        output, _ = demo.process.communicate(timeout=60)
        assert demo.process.returncode == 1, f'status {demo.process.returncode}\n{output}'
        assert 'demo: interrupted' in output, output
        wait_for('the end of the servers', lambda: demo.servers() == [])


for name in [name for name in globals() if name.startswith('test_') and name not in sys.argv[2:]]:
    del globals()[name]  # Not asked for: each takes half a minute.
house.run(sys.modules[__name__])
