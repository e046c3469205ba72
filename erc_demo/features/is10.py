"""IS10: the 1582 functionals of the Interspeech 2010 challenge, openSMILE's own numbers.

38 descriptors (loudness, MFCC, mel bands, line spectral pairs, pitch, jitter, shimmer; 10 ms steps)
and their deltas under 21 functionals: B. Schuller et al., "The INTERSPEECH 2010 paralinguistic
challenge", Interspeech 2010; also known as emobase2010. This is the version that openSMILE calls
compatible with the challenge's.
"""

from __future__ import annotations

from erc_demo.features._contract import Acoustic
from erc_demo.features._opensmile import RELEASE, TERMS, Functionals, ring_buffers

__all__ = ["ABOUT", "TERMS", "Extractor", "Options"]

ABOUT = "IS10 (emobase2010): 1582 functionals of loudness, cepstrum and pitch (openSMILE)."
VERSION = "1"
Options = Acoustic


class Extractor(Functionals):
    """One row of 1582 numbers for each utterance."""

    configuration = "is09-13/IS10_paraling_compat"
    edit = staticmethod(ring_buffers)
    version = f"{VERSION}-{RELEASE}"
