"""The page: ``python app.py`` starts it, here or as a Hugging Face Space, with no network."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from erc_demo import scratch
from erc_demo.errors import UserError
from erc_demo.terminal import add_settings, gather


def main() -> int:
    """Read the settings, build the page, serve it until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_settings(
        parser,
        *("host", "port", "share", "offline", "data", "recognizer", "voices", "jobs", "cache_mb"),
        *("max_hours", "max_channels", "max_upload_mb"),
    )
    try:
        settings = gather(parser.parse_args())
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # tidy up as after Ctrl-C
        with scratch.folder(settings.data / "page", "server-") as house:
            # uploads and downloads go with this server; the framework reads this when imported
            os.environ["GRADIO_TEMP_DIR"] = str(house / "framework")
            from erc_demo import ui

            ui.serve(settings, house)
    except UserError as exc:
        print(f"app.py: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
