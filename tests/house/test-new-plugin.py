"""test-new-plugin.py - what scripts/new-plugin makes builds without a warning, and its test passes."""

import pathlib
import subprocess
import sys
import tempfile

import house

TOP = pathlib.Path(__file__).resolve().parent.parent.parent


def run(command, folder, wanted=0):
    result = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, timeout=900)
    assert result.returncode == wanted, f'{command}: status {result.returncode}\n{result.stdout}'
    return result.stdout


def copy_tree(folder):
    """The source as it stands, without build trees."""
    skipped = ['--exclude=./.git', '--exclude=./build', '--exclude=./build-*']
    pack = subprocess.Popen(['tar', '-cf', '-', *skipped, '.'], cwd=TOP, stdout=subprocess.PIPE)
    run_unpack = subprocess.run(['tar', '-xf', '-'], cwd=folder, stdin=pack.stdout, timeout=300)
    assert pack.wait(timeout=300) == 0 and run_unpack.returncode == 0


def test_new_plugin():
    with tempfile.TemporaryDirectory() as folder:
        copy_tree(folder)
        for name in ('', 'Upper', '../x', 'a b', '-a'):
            run(['scripts/new-plugin', name], folder, wanted=2)
        run(['scripts/new-plugin', 'my-probe'], folder)
        run(['scripts/new-plugin', 'my-probe'], folder, wanted=1)
        run(['scripts/check-layers'], folder)
        run(['meson', 'setup', 'build', '-Dwerror=true', '-Dbuildtype=debug'], folder)
        run(['ninja', '-C', 'build', 'plugins/my-probe/my-probe.so', 'plugins/my-probe/tests/test-my-probe'], folder)
        text = run(['meson', 'test', '-C', 'build', '--no-rebuild', 'plugin-my-probe'], folder)
        assert '2 subtests passed' in text, text


house.run(sys.modules[__name__])
