"""The corridor to the systems: what one of them answers of a conversation and of its variants.

    asked = Asked(system, dialogue, recording, features, settings)
    explain(asked.prediction, dialogue, asked.variants, inputs=asked.inputs, kinds=asked.kinds)

A variant changes what it names and nothing else:

- a turn without a word, or with other words, is read again by every extractor that hears words;
- a turn with a silent stretch is heard again by every extractor that hears sound, and its rows are
  normalised as the speaker's other turns were;
- turns that were not said leave the conversation, and an extractor that reads earlier turns' texts
  reads those that follow again. All other rows stay as they were, also what a normalisation took
  from a turn that is gone or partly silent.

A guest (``AskedGuest``) is asked likewise; it hears each turn alone, so it has fewer variants.

What a call's variants need is made together, and all of them are answered in one batched pass. A
turn whose answer is made from nothing that a variant touches keeps it.
"""

from erc_demo.answers._asked import Asked, needs
from erc_demo.answers._guest import AskedGuest

__all__ = ["Asked", "AskedGuest", "needs"]
