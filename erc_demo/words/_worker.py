"""One pocketsphinx decoder in a process of its own: ``python -m erc_demo.words._worker``.

pocketsphinx can end the process that uses it (a segmentation fault), can't be pickled and gains
nothing from threads, so each worker is a fresh interpreter that reads requests and writes answers
on its pipes: a line of JSON, and behind a request's line as many bytes of sound (16 kHz, 16 bit,
little-endian, mono) as it says. The first line is the decoder's configuration. Nothing of the
decoder outlives an answer: all values are copied to plain ones at once.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any, BinaryIO

FRAMES = 100  # of the decoder, a second
FILLERS = ("<", "[", "+")  # how the names of silence and noise begin


class Ear:
    """A decoder that hears one utterance at a time, free or along a given text."""

    def __init__(self, configuration: dict[str, Any]) -> None:
        from pocketsphinx import Decoder

        self.decoder = Decoder(samprate=16_000, loglevel="FATAL", **configuration)

    def hear(self, sound: bytes) -> list[tuple[str, float, float, float, float]]:
        """Words of one utterance: text, start, end (s), confidence, log score a frame."""
        decoder = self.decoder
        decoder.reinit_feat()  # else the mean of what came before changes the result
        decoder.start_utt()
        try:
            decoder.process_raw(sound, no_search=False, full_utt=True)
        finally:
            decoder.end_utt()
        if decoder.hyp() is None:
            return []
        found = []
        for segment in decoder.seg():
            text, first, last = str(segment.word), int(segment.start_frame), int(segment.end_frame)
            if text.startswith(FILLERS) or last < first:
                continue
            length = last + 1 - first
            # linear, like prob; a very long word underflows and counts as the smallest number
            score = math.log(max(float(segment.ascore), sys.float_info.min)) / length
            end = (last + 1) / FRAMES
            found.append((text.split("(")[0], first / FRAMES, end, float(segment.prob), score))
        return found

    def follow(
        self, sound: bytes, text: str, extra: dict[str, str]
    ) -> list[tuple[str, float, float, float, float]]:
        """The given words in the utterance; ``extra`` has phones for those not in the dictionary.

        Empty where the text does not fit in the sound.
        """
        for word, phones in extra.items():
            if self.decoder.lookup_word(word) is None:
                self.decoder.add_word(word, phones, True)
        self.decoder.set_align_text(text)
        return self.hear(sound)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    ear = Ear(json.loads(requests.readline()))
    while line := requests.readline():
        request = json.loads(line)
        sound = requests.read(request["bytes"])
        try:
            if request.get("text") is None:
                words = ear.hear(sound)
            else:
                words = ear.follow(sound, request["text"], request.get("extra", {}))
            answer: dict[str, Any] = {"words": words}
        except (RuntimeError, IndexError, ValueError) as exc:  # the decoder's own refusals
            answer = {"words": [], "refused": str(exc)}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
