#!/usr/bin/env python3
"""Writes the numbered migrations into a C file, so that the plugin needs no files at run time.

usage: embed-sql.py OUTPUT.c 0001-NAME.sql 0002-NAME.sql ...
"""

import os
import re
import sys


def c_string(line):
    escaped = line.replace('\\', '\\\\').replace('"', '\\"').replace('\t', '\\t')
    return '    "%s\\n"' % escaped


def main():
    output, paths = sys.argv[1], sys.argv[2:]
    parts = ['/* Made by embed-sql.py from data/sql/sqlite. */', '#include "db-sqlite-private.h"', '']
    rows = []
    for number, path in enumerate(paths, 1):
        name = os.path.basename(path)
        if not re.fullmatch(r'%04d-[a-z0-9-]+\.sql' % number, name):
            sys.exit('%s: its name must be %04d-WHAT-IT-DOES.sql' % (path, number))
        with open(path, encoding='ascii') as file:
            text = file.read()
        parts += ['static const char migration_%d[] =' % number]
        parts += [c_string(line) for line in text.splitlines()]
        parts[-1] += ';'
        parts += ['']
        rows.append('    {%d, "%s", migration_%d},' % (number, name, number))
    parts += ['const ConfSqliteMigration conf_sqlite_migrations[] = {'] + rows + ['};']
    parts += ['const unsigned conf_sqlite_migration_count = %d;' % len(paths), '']
    with open(output, 'w', encoding='ascii') as file:
        file.write('\n'.join(parts))


main()
