"""`python -m benchmarks`."""

import sys

try:
    from benchmarks.cli import main
except ModuleNotFoundError as error:
    if str(error.name).partition(".")[0] in ("benchmarks", "methods", "reports"):
        raise
    print(f"error: {error.name} is not installed: run `python -m pip install -e .` in this folder", file=sys.stderr)
    sys.exit(2)

main()
