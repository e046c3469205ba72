"""eGeMAPS: 88 functionals chosen for voice research (version 02), openSMILE's own numbers.

Pitch, jitter, shimmer, loudness, formants, harmonics and spectral slopes, over voiced and unvoiced
parts apart: F. Eyben et al., "The Geneva minimalistic acoustic parameter set (GeMAPS) for voice
research and affective computing", IEEE Transactions on Affective Computing 7(2), 2016. What is
taken over voiced parts is 0 where nothing is voiced.
"""

from __future__ import annotations

from erc_demo.features._contract import Acoustic
from erc_demo.features._opensmile import RELEASE, TERMS, Functionals

__all__ = ["ABOUT", "TERMS", "Extractor", "Options"]

ABOUT = "eGeMAPSv02: 88 functionals of pitch, voice quality, formants and spectrum (openSMILE)."
VERSION = "1"
Options = Acoustic


class Extractor(Functionals):
    """One row of 88 numbers for each utterance."""

    configuration = "egemaps/v02/eGeMAPSv02"
    version = f"{VERSION}-{RELEASE}"
