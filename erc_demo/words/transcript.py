"""A supplied transcript, laid over its recording: every word gets a time, or is flagged.

With times in the transcript each turn's words are force-aligned inside the turn's own span, on the
channel of its speaker. Without times the text is found first: the turns that were found are
recognised with a language model of the text itself, the recognised words are matched to the text's
(unique n-grams first, as in patience diff, then ordinary matching between them), and what lies
between two matches is force-aligned in the sound between them. This is the anchor-and-recurse idea
of Moreno et al. (1998, "A recursive algorithm for the forced alignment of very long audio
segments"), with one level of recursion.

A wrong text aligns happily in long sound, so alignment alone counts for nothing: a stretch whose
mean score is low is a guess between its neighbours (``placing``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from erc_demo.dialogue import Dialogue, Recording, Span, Turn
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from erc_demo.words import sphinx
from erc_demo.words.listening import Place
from erc_demo.words.matching import match
from erc_demo.words.placing import Spot, Token, Work, filled, gaps, spread, tokenise, word_at
from erc_demo.words.seating import SHORTEST, Heard, Index, joined, lanes, seat

RECOGNISING = 0.8  # share of the work that finding an untimed text takes
LEAST_FOUND = 0.35  # share of a transcript's words below which it belongs to another recording
LONGEST = 40.0  # s between two matches; beyond it an alignment is not trusted
UNKNOWN = "unknown"
GIVEN = "transcript"  # what a recogniser's name begins with where people wrote the words

Tell = Callable[[float], None]


def align(
    recording: Recording,
    dialogue: Dialogue,
    transcript: Dialogue,
    settings: Settings,
    *,
    tell: Tell | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Dialogue:
    """The transcript with word times from the recording; ``dialogue`` has the turns found in it.

    Speakers are the transcript's; where it names none, those of the found turns.
    """
    tokens = [
        token for index, turn in enumerate(transcript.turns) for token in tokenise(turn.text, index)
    ]
    if not tokens and not any(turn.words for turn in transcript.turns):
        raise UserError("The transcript holds no words; give one with text, or none at all.")
    language = settings.language if settings.language != "auto" else transcript.language
    english = language in (None, "en") and sphinx.installed()
    speech = {channel: joined(spans) for channel, spans in lanes(dialogue).items()}
    work = Work(recording, dialogue, settings, english, tell, cancelled, speech)
    timed = sum(turn.span is not None for turn in transcript.turns)
    if timed * 2 > len(transcript.turns):
        turns, aligned, remarks = _timed(work, transcript)
    else:
        turns, aligned, remarks = _untimed(work, transcript, tokens), True, []
    words = [word for turn in turns for word in turn.words]
    loose = sum(not word.placed for word in words)
    if aligned and not english:
        remarks.append(
            "Words can be aligned in English only, so their times are spread evenly; systems that "
            "read words are made for English, those that hear sound alone go on."
            if sphinx.installed()
            else "Pocketsphinx is not installed, so the words' times are spread evenly."
        )
    elif aligned and loose:
        remarks.append(
            f"{loose} of {len(words)} words could not be placed; their times are guesses."
        )
    if aligned and english and words and len(words) - loose < LEAST_FOUND * len(words):
        remarks.append(
            f"Only {len(words) - loose} of {len(words)} words of the transcript were found in the "
            "sound; does it belong to this recording?"
        )
    return Dialogue(
        name=dialogue.name,
        turns=turns,
        duration=recording.duration,
        language=language,
        recognizer=_by(transcript, aligned and english),
        remarks=(*dialogue.remarks, *_still_true(transcript.remarks, turns), *remarks),
    )


def recognised(dialogue: Dialogue) -> bool:
    """Whether a recogniser wrote the words, so that their confidence is of what was said.

    That of a transcript's words is of where they lie in the sound.
    """
    return bool(dialogue.recognizer) and not str(dialogue.recognizer).startswith(GIVEN)


def _by(transcript: Dialogue, aligned: bool) -> str:
    by = f"{GIVEN} by {transcript.recognizer}" if transcript.recognizer else GIVEN
    return f"{by}, aligned by {sphinx.name().partition(' +')[0]}" if aligned else by


def _still_true(remarks: Iterable[str], turns: Sequence[Turn]) -> list[str]:
    """A reader's remarks, but for those on missing speakers that were found since."""
    unknown = any(turn.speaker == UNKNOWN for turn in turns)
    return [remark for remark in remarks if unknown or f"it is '{UNKNOWN}'" not in remark]


# A transcript with times


def _timed(work: Work, transcript: Dialogue) -> tuple[tuple[Turn, ...], bool, list[str]]:
    """Each turn's words aligned inside its span; turns, speakers and spans stay as they are.

    Also whether there was anything to align: words that come with times keep them.
    """
    end = work.recording.duration
    late = [turn for turn in transcript.turns if turn.span and turn.span.start >= end]
    if late:
        raise UserError(
            f"{len(late)} of the transcript's turns start after the recording's end ({end:.1f} s), "
            f"the first at {late[0].span.start if late[0].span else 0:.1f} s; "
            "does it belong to another recording, or are its times not in seconds?"
        )
    remarks = []
    turns = [_within(turn, end) for turn in transcript.turns]
    if clipped := sum(new != old for new, old in zip(turns, transcript.turns, strict=True)):
        remarks.append(f"{clipped} of the transcript's turns were cut at the recording's end.")
    if untimed := sum(turn.span is None for turn in turns):
        remarks.append(f"{untimed} of the transcript's turns have no times, nor have their words.")
    index = Index(work.found.turns)
    homes = _homes(turns, index)
    turns = [_at_home(turn, homes, index) for turn in turns]
    todo = [
        (i, tokenise(turn.text, i))
        for i, turn in enumerate(turns)
        if turn.span is not None and not any(word.span for word in turn.words)
    ]
    places = [(turns[i].span or Span(0.0, end), turns[i].channel) for i, _ in todo]
    answers = work.follow(places, [tokens for _, tokens in todo])
    for (i, tokens), (span, channel), spots in zip(todo, places, answers, strict=True):
        whole = filled(tokens, spots, span, channel)
        words = [word_at(token, spot, span) for token, spot in zip(tokens, whole, strict=True)]
        turns[i] = replace(turns[i], words=tuple(words))
    return tuple(turns), bool(todo), remarks


def _within(turn: Turn, end: float) -> Turn:
    """A turn that runs past the recording's end, cut there, its words too."""
    if turn.span is None or turn.span.end <= end:
        return turn
    span = Span(turn.span.start, end)
    words = []
    for word in turn.words:
        inside = word.span.clipped(span) if word.span else None
        words.append(replace(word, span=inside, placed=word.placed and inside is not None))
    return replace(turn, span=span, words=tuple(words))


def _homes(turns: Sequence[Turn], found: Index) -> dict[str, int | None]:
    """The channel that each of the transcript's speakers is heard on."""
    seconds: dict[str, dict[int | None, float]] = defaultdict(lambda: defaultdict(float))
    for turn in turns:
        for other, shared in found.during(turn.span):
            seconds[turn.speaker][other.channel] += shared
    return {speaker: max(heard, key=lambda one: heard[one]) for speaker, heard in seconds.items()}


def _at_home(turn: Turn, homes: dict[str, int | None], found: Index) -> Turn:
    """A turn on its speaker's channel; a speaker that nobody named is the one found there."""
    if turn.speaker.strip().lower() != UNKNOWN or turn.span is None:
        return replace(turn, channel=homes.get(turn.speaker, turn.channel))
    heard: dict[tuple[str, int | None], float] = defaultdict(float)
    for other, shared in found.during(turn.span):
        heard[other.speaker, other.channel] += shared
    if not heard:
        return turn
    speaker, channel = max(heard, key=lambda one: heard[one])
    sure = min(1.0, heard[speaker, channel] / max(turn.span.duration, sum(heard.values())))
    return replace(turn, speaker=speaker, channel=channel, sure=sure)


# A transcript without times


def _untimed(work: Work, transcript: Dialogue, tokens: Sequence[Token]) -> tuple[Turn, ...]:
    """The text laid over the turns that were found."""
    spoken_turns = [turn for turn in work.found.turns if turn.span]
    if not spoken_turns:
        raise UserError(
            "The transcript has no times and nobody was heard to speak in the recording, so it "
            "can't be laid over it; give a transcript with times."
        )
    named = any(turn.speaker.strip().lower() != UNKNOWN for turn in transcript.turns)
    lists = _lists(work, transcript, tokens, named)
    spots: list[Spot | None] = [None] * len(tokens)
    if work.english:
        said = work.recognise(tokens, RECOGNISING)
        _match(tokens, range(len(tokens)), said, spots)
        if named and len(lists) > 1:  # again, each speaker's words on his own channel alone
            homes = _voted(transcript, tokens, spots)
            spots = [None] * len(tokens)
            for speaker, own in lists.items():
                home = homes.get(speaker, ...)
                _match(tokens, own, [one for one in said if home in (..., one.channel)], spots)
        _between(work, tokens, lists.values(), spots)
    for own in lists.values():
        _guess(work, tokens, own, spots)
    found = [spot for spot in spots if spot is not None]
    if named:
        return _own_turns(work, transcript, tokens, found)
    heard = [
        Heard(
            text=token.text,
            start=spot.start,
            end=spot.end,
            confidence=spot.confidence,
            channel=spot.channel,
            placed=spot.placed,
        )
        for token, spot in zip(tokens, found, strict=True)
    ]
    return seat(heard, work.found.turns, duration=work.recording.duration)


def _lists(
    work: Work, transcript: Dialogue, tokens: Sequence[Token], named: bool
) -> dict[str, list[int]]:
    """Tokens whose times must grow: each speaker's own where people have channels, else all."""
    channels = {turn.channel for turn in work.found.turns if turn.span}
    if not named or len(channels) < 2:
        return {"": list(range(len(tokens)))}
    lists: dict[str, list[int]] = defaultdict(list)
    for i, token in enumerate(tokens):
        lists[transcript.turns[token.turn].speaker].append(i)
    return lists


def _match(
    tokens: Sequence[Token],
    own: Iterable[int],
    said: Sequence[Heard],
    spots: list[Spot | None],
) -> None:
    """Give those tokens a spot whose words were recognised, in order."""
    flat = [(word, i) for i in own for word in tokens[i].spoken]
    pairs = match([word for word, _ in flat], [one.text for one in said])
    heard: dict[int, list[Heard]] = defaultdict(list)
    for a, b in pairs:
        heard[flat[a][1]].append(said[b])
    for i, ones in heard.items():
        if len(ones) == len(tokens[i].spoken) and len({one.channel for one in ones}) == 1:
            confidence = min(one.confidence or 0.0 for one in ones)
            spots[i] = Spot(ones[0].start, ones[-1].end, confidence, ones[0].channel, True)


def _voted(
    transcript: Dialogue, tokens: Sequence[Token], spots: Sequence[Spot | None]
) -> dict[str, int | None]:
    """The channel on which most of each speaker's words were recognised."""
    votes: dict[str, Counter[int | None]] = defaultdict(Counter)
    for token, spot in zip(tokens, spots, strict=True):
        if spot is not None:
            votes[transcript.turns[token.turn].speaker][spot.channel] += 1
    return {speaker: counted.most_common(1)[0][0] for speaker, counted in votes.items()}


def _between(
    work: Work,
    tokens: Sequence[Token],
    lists: Iterable[list[int]],
    spots: list[Spot | None],
) -> None:
    """Force-align what lies between two matches in the sound between them."""
    places: list[Place] = []
    runs: list[list[int]] = []
    for own in lists:
        here = [spots[i] for i in own]
        for low, high in gaps(here):
            place = _window(work, here, low, high)
            if place is not None and place[0].duration <= LONGEST:
                places.append(place)
                runs.append(own[low:high])
    answers = work.follow(places, [[tokens[i] for i in run] for run in runs], (RECOGNISING, 1.0))
    for run, answer in zip(runs, answers, strict=True):
        for i, spot in zip(run, answer, strict=True):
            spots[i] = spot if spot is not None and spot.placed else None


def _window(work: Work, here: Sequence[Spot | None], low: int, high: int) -> Place | None:
    """The sound that a run of tokens must lie in: the speech between its neighbours."""
    before = here[low - 1] if low else None
    after = here[high] if high < len(here) else None
    start = before.end if before else 0.0
    end = after.start if after else work.recording.duration
    if end - start < SHORTEST:
        return None
    near = {spot.channel for spot in (before, after) if spot}
    speech = {channel: _clipped(spans, start, end) for channel, spans in work.speech.items()}
    best = max(
        (near or set(speech)) & set(speech),
        key=lambda channel: sum(span.duration for span in speech[channel]),
        default=None,
    )
    spans = speech.get(best, [])
    return (Span(spans[0].start, spans[-1].end), best) if spans else None


def _clipped(spans: Sequence[Span], start: float, end: float) -> list[Span]:
    return [part for span in spans if (part := span.clipped(Span(start, end)))]


def _guess(
    work: Work, tokens: Sequence[Token], own: Sequence[int], spots: list[Spot | None]
) -> None:
    """Spread what has no spot over the speech between its neighbours."""
    here = [spots[i] for i in own]
    for low, high in gaps(here):
        before = here[low - 1] if low else None
        after = here[high] if high < len(here) else None
        known = before or after
        channel = known.channel if known else next(iter(work.speech))
        speech = work.speech.get(channel, [])
        start = before.end if before else speech[0].start if speech else 0.0
        end = after.start if after else speech[-1].end if speech else work.recording.duration
        start = min(start, work.recording.duration - SHORTEST)
        run = own[low:high]
        guesses = spread([tokens[i] for i in run], start, end, speech, channel)
        for i, guess in zip(run, guesses, strict=True):
            spots[i] = guess


def _own_turns(
    work: Work, transcript: Dialogue, tokens: Sequence[Token], spots: Sequence[Spot]
) -> tuple[Turn, ...]:
    """The transcript's turns, each with the span that its words ask for."""
    words: dict[int, list[tuple[Token, Spot]]] = defaultdict(list)
    for token, spot in zip(tokens, spots, strict=True):
        words[token.turn].append((token, spot))
    turns = []
    for index, turn in enumerate(transcript.turns):
        own = words.get(index)
        if own:
            start, end = min(spot.start for _, spot in own), max(spot.end for _, spot in own)
            span = Span(start, min(max(end, start + SHORTEST), work.recording.duration))
            channels = Counter(spot.channel for _, spot in own)
            turn = replace(
                turn,
                span=span,
                words=tuple(word_at(token, spot, span) for token, spot in own),
                channel=channels.most_common(1)[0][0],
            )
        turns.append(turn)
    return tuple(turns)
