"""Run the notebooks of a profile and write results/<profile>/: `python reproduce.py --help`."""

import sys
from pathlib import Path

from fedkit.runner.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], root=Path(__file__).resolve().parent))
