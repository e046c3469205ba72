"""The page: one file a page, put together and served here."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from erc_demo.errors import UserError
from erc_demo.settings import Settings
from erc_demo.ui import transcript

STYLE = Path(__file__).resolve().parents[2] / "assets" / "ui" / "page.css"
FORGET_AFTER = 3600  # seconds a file stays in the cache of the framework


def theme() -> gr.themes.Base:
    """Ink on paper, with the fonts that are there: nothing is asked of another host."""
    return gr.themes.Base(
        primary_hue="neutral",
        secondary_hue="neutral",
        neutral_hue="slate",
        font=[gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")],
        font_mono=[gr.themes.Font("ui-monospace"), gr.themes.Font("monospace")],
    )


def build(settings: Settings, house: Path) -> gr.Blocks:
    """The whole page, not yet served."""
    with gr.Blocks(
        title="Emotion recognition in conversation",
        analytics_enabled=False,
        delete_cache=(600, FORGET_AFTER),
    ) as page:
        transcript.layout(page, settings, house)
    page.queue(default_concurrency_limit=1, max_size=64)
    return page


def serve(settings: Settings, house: Path, *, wait: bool = True) -> gr.Blocks:
    """Build and serve the page; returns when it is stopped, or at once without ``wait``.

    ``house`` is a folder that goes with this process: what visitors give and get lies there.
    """
    page = build(settings, house)
    try:
        page.launch(
            server_name=settings.host or None,
            server_port=settings.port or None,
            share=settings.share,
            theme=theme(),
            css_paths=STYLE,
            footer_links=[],
            run_history=False,  # it would keep transcripts in the visitor's browser
            max_file_size=f"{settings.max_upload_mb}mb",
            ssr_mode=False,
            quiet=True,
            prevent_thread_lock=True,
        )
    except OSError as exc:
        raise UserError(
            f"The page can't listen on {settings.host or 'this machine'}, port "
            f"{settings.port or 'from 7860'} ({str(exc).splitlines()[0]}); "
            "choose another with --port or --host."
        ) from exc
    print(f"Open {page.local_url}", flush=True)
    if page.share_url:
        print(f"Open {page.share_url}", flush=True)
    if wait:
        page.block_thread()
    return page
