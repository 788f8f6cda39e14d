"""house.py - runs functions named test_* as TAP; the house has no need for more."""

import sys
import traceback


def run(module):
    tests = [(name, value) for name, value in vars(module).items() if name.startswith('test_') and callable(value)]
    print(f'1..{len(tests)}')
    failed = False
    for number, (name, test) in enumerate(tests, 1):
        try:
            test()
            print(f'ok {number} {name}', flush=True)
        except Exception:
            failed = True
            for line in traceback.format_exc().splitlines():
                print(f'# {line}')
            print(f'not ok {number} {name}', flush=True)
    sys.exit(1 if failed else 0)
