"""test-check-layers.py - each kind of forbidden include is seen, and what is allowed is let through."""

import pathlib
import subprocess
import sys
import tempfile

import house

SCRIPT = pathlib.Path(__file__).resolve().parent.parent.parent / 'scripts' / 'check-layers'

GOOD = {
    'core/meson.build': "foreach layer : [\n  'base', 'plugin', 'store',\n]\nendforeach\n",
    'core/base/bytes.h': '#include <glib.h>\n',
    'core/base/bytes-private.h': '#include "base/bytes.h"\n',
    'core/base/bytes.c': '#include "base/bytes-private.h"\n#include <string.h>\n',
    'core/plugin/confserv-plugin.h': '#include "base/bytes.h"\n',
    'core/store/store.h': '#include "base/bytes.h"\n#include "plugin/confserv-plugin.h"\n',
    'core/store/store.c': '#include "store/store.h"\n#include "generated.h"\n',
    'core/main.c': '#include "store/store.h"\n',
    'plugins/tls/tls.c': '#include "plugin/confserv-plugin.h"\n#include "tls-private.h"\n#include <gnutls/gnutls.h>\n',
    'plugins/tls/tls-private.h': '#include "plugin/confserv-plugin.h"\n',
    'plugins/tls/tests/test-tls.c': '#include "base/bytes.h"\n',
    'plugins/addp/addp.h': '',
    'plugins/addp/addp.c': '#include <confserv-plugin.h>\n#include "addp.h"\n',
    'client/confclient.h': '#include <glib-object.h>\n',
    'client/client.c': '#include "confclient.h"\n',
    'tests/unit/base/test-bytes.c': '#include "base/bytes-private.h"\n',
}


def check(changes):
    """Exit status and messages for the good tree with `changes` (path: text)."""
    with tempfile.TemporaryDirectory() as folder:
        for path, text in {**GOOD, **changes}.items():
            file = pathlib.Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding='utf-8')
        result = subprocess.run([sys.executable, SCRIPT, folder], capture_output=True, text=True, timeout=60)
        return result.returncode, result.stderr


def assert_refused(path, text, place, why):
    status, messages = check({path: text})
    assert status == 1, f'status {status} for {text!r} in {path}'
    lines = messages.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith(f'{place}: '), lines[0]
    assert why in lines[0], lines[0]


def test_good_tree_passes():
    assert check({}) == (0, '')


def test_upward():
    assert_refused('core/base/id.c', '#include <glib.h>\n\n#include "store/store.h"\n', 'core/base/id.c:3',
                   'base is below store')
    assert_refused('core/plugin/x.h', '  #  include <store/store.h>\n', 'core/plugin/x.h:1', 'plugin is below store')


def test_private_header_of_another_layer():
    assert_refused('core/store/x.c', '#include "base/bytes-private.h"\n', 'core/store/x.c:1', 'private header of base')
    assert_refused('core/main.c', '#include "base/bytes-private.h"\n', 'core/main.c:1', 'private header of base')
    assert_refused('tests/unit/store/t.c', '#include "base/bytes-private.h"\n', 'tests/unit/store/t.c:1',
                   'private header of base')


def test_without_layer():
    assert_refused('core/store/x.c', '#include "store.h"\n', 'core/store/x.c:1', 'write "store/store.h"')
    assert_refused('core/store/x.c', '#include "../base/bytes.h"\n', 'core/store/x.c:1', 'written from core/')


def test_core_knows_no_plugin_and_no_client():
    assert_refused('core/store/x.c', '#include "plugins/tls/tls-private.h"\n', 'core/store/x.c:1', 'no plugin')
    assert_refused('core/store/x.c', '#include "client/confclient.h"\n', 'core/store/x.c:1', 'no client')
    assert_refused('core/main.c', '#include "confclient.h"\n', 'core/main.c:1', 'no client')


def test_folder_that_is_no_layer():
    assert_refused('core/extra/x.c', '', 'core/extra/x.c:1', 'not in the list of layers')


def test_plugin_includes_core():
    why = 'only plugin/confserv-plugin.h'
    assert_refused('plugins/tls/x.c', '#include "base/bytes.h"\n', 'plugins/tls/x.c:1', why)
    assert_refused('plugins/tls/x.h', '#include <store/store.h>\n', 'plugins/tls/x.h:1', why)
    assert_refused('plugins/tls/x.c', '#include "../../core/store/store.h"\n', 'plugins/tls/x.c:1', why)
    assert_refused('plugins/tls/x.c', '#include "store.h"\n', 'plugins/tls/x.c:1', why)


def test_plugin_includes_plugin():
    assert_refused('plugins/tls/x.c', '#include "../addp/addp.h"\n', 'plugins/tls/x.c:1', 'another plugin')


def test_client_includes_core():
    assert_refused('client/x.c', '#include "base/bytes.h"\n', 'client/x.c:1', 'neither core/')
    assert_refused('client/confctl/x.c', '#include "../../core/base/bytes.h"\n', 'client/confctl/x.c:1', 'neither core/')
    assert_refused('client/x.c', '#include "../plugins/addp/addp.h"\n', 'client/x.c:1', 'neither core/')


def test_all_problems_are_told():
    status, messages = check({'core/base/a.c': '#include "store/store.h"\n', 'client/x.c': '#include "base/bytes.h"\n'})
    assert status == 1
    assert len(messages.splitlines()) == 2


def test_without_a_list_of_layers():
    status, messages = check({'core/meson.build': 'subdir(layer)\n'})
    assert status == 1
    assert 'names no layers' in messages


house.run(sys.modules[__name__])
