"""Emotion recognition in conversation: from a recording to timed words, and what is felt."""

import os

from erc_demo.torchaudio_guard import install

__version__ = "0.1.0"

install()
# Nobody is told what runs here. The libraries read these once, when they are imported.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
