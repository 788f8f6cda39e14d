"""test-standalone.py BUILD CONFSERV - a copy of plugins/example builds outside of the tree, against nothing but the
installed header, without a warning, and the server takes it."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TOP / 'tests' / 'house'))

import house  # noqa: E402

BUILD, CONFSERV = (str(pathlib.Path(argument).resolve()) for argument in sys.argv[1:3])

CONFIGURATION = '''[confserv]
port = 1
server = dbserver
plugins = {plugin}
[example]
format = {format}
[dbserver]
dbengine = sqlite
'''


def run(command, folder, wanted=0, **more):
    result = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, timeout=300, **more)
    assert result.returncode == wanted, f'{command}: status {result.returncode}\n{result.stdout}'
    return result.stdout


def install_headers(folder):
    """Installs what a package for developers would hold; the folder that holds the .pc file."""
    run(['meson', 'install', '-C', BUILD, '--no-rebuild', '--tags', 'devel', '--destdir', str(folder)], folder)
    found = list(folder.rglob('confserv-plugin.pc'))
    assert len(found) == 1, found
    # Moved to where it lies, as if it had been configured with that prefix.
    lines = found[0].read_text(encoding='utf-8').splitlines()
    prefix = next(line for line in lines if line.startswith('prefix='))[len('prefix='):]
    lines = [f'prefix={folder}{prefix}' if line.startswith('prefix=') else line for line in lines]
    found[0].write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return found[0].parent


def test_standalone():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        installed, site = folder / 'installed', folder / 'site'
        installed.mkdir()
        site.mkdir()
        environment = dict(os.environ, PKG_CONFIG_PATH=str(install_headers(installed)))
        example = TOP / 'plugins' / 'example'
        for file in [*example.glob('*.[ch]'), example / 'standalone' / 'meson.build']:
            shutil.copy(file, site)
        run(['meson', 'setup', 'build', '-Dwerror=true'], site, env=environment)
        run(['ninja', '-C', 'build'], site, env=environment)

        plugin = site / 'build' / 'example.so'
        for form, wanted in (('json', 0), ('xml', 2)):
            (folder / 'confserv.conf').write_text(CONFIGURATION.format(plugin=plugin, format=form), encoding='utf-8')
            text = run([CONFSERV, '-check-config'], folder, wanted)
            assert wanted == 0 or 'plugin example: example/format' in text, text


house.run(sys.modules[__name__])
