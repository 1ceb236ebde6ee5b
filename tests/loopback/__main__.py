"""A loopback hub to try things by hand: `python -m tests.loopback FOLDER [PORT]` serves every sub-folder as a model.

FOLDER/author/name/files become the model author/name; files directly in FOLDER are release files.
Point clients at it with HF_ENDPOINT=http://127.0.0.1:PORT.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.loopback import Content, Loopback, Repo


def content_of(root: Path) -> Content:
    """What a folder holds, in memory."""
    content = Content(files={f"/{path.name}": path.read_bytes() for path in root.iterdir() if path.is_file()})
    for folder in sorted(path for path in root.glob("*/*") if path.is_dir()):
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        content.repos.append(Repo(folder.relative_to(root).as_posix(), files))
    return content


def main() -> None:
    """Serve until Ctrl-C, one line a request."""
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python -m tests.loopback FOLDER [PORT]")
    with Loopback(content_of(Path(sys.argv[1])), port=int(sys.argv[2]) if len(sys.argv) == 3 else 0) as server:
        print(f"HF_ENDPOINT={server.url}  models: {', '.join(repo.id for repo in server.content.repos)}", flush=True)
        shown = 0
        try:
            while True:
                for seen in server.log[shown:]:
                    print(seen.status, seen.method, seen.path, seen.range or "", seen.sent, flush=True)
                    shown += 1
                time.sleep(0.5)
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
