"""IS13: the 6373 functionals of the Interspeech 2013 ComParE challenge, openSMILE's own numbers.

65 descriptors (energy, spectrum, cepstrum, voicing; 10 ms steps) and their deltas, under means,
moments, percentiles, regressions and peaks over the utterance: B. Schuller et al., "The INTERSPEECH
2013 computational paralinguistics challenge", Interspeech 2013. ComParE 2016 has the same names
and, since bugs were mended in between, other values in part of the columns: a system that was
trained on IS13 must be served IS13. Values reach 1e12 (errors of regressions over spectral
variance), so standardise before use.
"""

from __future__ import annotations

from erc_demo.features._contract import Acoustic
from erc_demo.features._opensmile import RELEASE, TERMS, Functionals

__all__ = ["ABOUT", "TERMS", "Extractor", "Options"]

ABOUT = "IS13 ComParE: 6373 functionals of energy, spectrum and voicing (openSMILE)."
VERSION = "1"
Options = Acoustic


class Extractor(Functionals):
    """One row of 6373 numbers for each utterance."""

    configuration = "is09-13/IS13_ComParE"
    version = f"{VERSION}-{RELEASE}"
