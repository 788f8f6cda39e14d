#!/usr/bin/env python3
"""Writes the numbered migrations into a C file, so that the plugin needs no files at run time.

usage: embed-sql.py OUTPUT.c HEADER.h TYPE SYMBOL 0001-NAME.sql 0002-NAME.sql ...

Makes `const TYPE SYMBOLs[]` of {number, name, text}, and `const unsigned SYMBOL_count`; HEADER.h declares them.
"""

import os
import re
import sys


def c_string(line):
    escaped = line.replace('\\', '\\\\').replace('"', '\\"').replace('\t', '\\t')
    return '    "%s\\n"' % escaped


def main():
    output, header, kind, symbol, paths = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:]
    parts = ['/* Made by embed-sql.py from data/sql. */', '#include "%s"' % header, '']
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
    parts += ['const %s %ss[] = {' % (kind, symbol)] + rows + ['};']
    parts += ['const unsigned %s_count = %d;' % (symbol, len(paths)), '']
    with open(output, 'w', encoding='ascii') as file:
        file.write('\n'.join(parts))


main()
