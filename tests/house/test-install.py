"""test-install.py BUILD - what meson installs runs from where it was put."""

import os
import pathlib
import subprocess
import sys
import tempfile

import house

BUILD = sys.argv[1]


def run(*command):
    """Without the environment of the build tree: the installed library is to be found by itself."""
    environment = {key: value for key, value in os.environ.items() if key != 'LD_LIBRARY_PATH'}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=120, env=environment)
    assert done.returncode == 0, f'{command}: status {done.returncode}\n{done.stdout}'
    return done.stdout


def find(folder, name):
    found = [path for path in pathlib.Path(folder).rglob(name) if path.is_file()]
    assert len(found) == 1, f'{name}: {found}'
    return found[0]


def test_installed_programs_run():
    with tempfile.TemporaryDirectory() as folder:
        run('meson', 'install', '-C', BUILD, '--no-rebuild', '--quiet', '--destdir', folder)
        for name in ('confserv', 'confctl'):
            program = find(folder, f'bin/{name}')
            assert run(str(program), '-V' if name == 'confserv' else '--version').startswith(f'{name} ')
        assert 'libconfclient.so.0 => ' + folder in str(run('ldd', str(find(folder, 'bin/confctl')))).replace('bin/../', '')
        for name in ('db-sqlite.so', 'application.json', 'confserv.service', 'confserv.1', 'confctl.1', 'confserv.conf.5'):
            find(folder, name)
        assert 'example.so' not in [path.name for path in pathlib.Path(folder).rglob('*.so')]


house.run(sys.modules[__name__])
