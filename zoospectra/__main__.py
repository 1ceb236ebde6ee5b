"""`python -m zoospectra VERB key=value ...`: the command where its script is not on the path."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the current folder, which `python -m` puts first: nothing may be imported from there
    from zoospectra.jobs.main import main

    sys.exit(main())
