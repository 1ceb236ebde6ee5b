"""`python -m zoospectra VERB key=value ...`: the command where its script is not on the path."""

import sys

from zoospectra.jobs.main import main

if __name__ == "__main__":
    sys.exit(main())
