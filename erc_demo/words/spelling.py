"""From letters to what is said: text to spoken words, a word to phones.

The bundled dictionary of pocketsphinx (CMUdict) knows 126,000 words and no rule. What a
transcript holds beside them is spelled out here: numbers, clock times, money, initials and a few
titles become words, and a word that no dictionary has gets phones by letter-to-sound rules. The
rules are our own short list in the manner of Elovitz et al. (1976, "Letter-to-sound rules for
automatic translation of English text to phonetics"): scanned from the left, the longest grapheme
that fits its surroundings wins. They serve forced alignment, where a near miss costs a few
hundredths of a second; they are no pronouncing dictionary.
"""

from __future__ import annotations

import re
import unicodedata

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
SCALES = ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip
SHORT = {
    "mr": "mister", "mrs": "missus", "dr": "doctor", "vs": "versus", "etc": "et cetera",
    "&": "and", "%": "percent", "+": "plus", "=": "equals", "@": "at", "a.m": "a. m.",
    "p.m": "p. m.", "am.": "a. m.", "°": "degrees",
}  # fmt: skip
MONEY = {"$": ("dollar", "dollars"), "£": ("pound", "pounds"), "€": ("euro", "euros")}
NOTES = re.compile(r"\[[^\]]*\]|\([^)]*\)|<[^>]*>|\{[^}]*\}|\*[^*]*\*")  # [laughs], (noise), <b>
LARGEST = 10**12  # longer numbers are read digit by digit, as telephone numbers are

VOWELS = set("aeiouy")


def number(value: int) -> list[str]:
    """A whole number as it is said.

    >>> " ".join(number(1984))
    'one thousand nine hundred eighty four'
    """
    if value < 20:
        return [ONES[value]]
    if value < 100:
        return [TENS[value // 10]] + ([ONES[value % 10]] if value % 10 else [])
    for scale, name in SCALES:
        if value >= scale:
            rest = number(value % scale) if value % scale else []
            return [*number(value // scale), name, *rest]
    raise AssertionError("unreachable: every number from 100 has a scale")


def _digits(digits: str) -> list[str]:
    if len(digits) > 1 and digits[0] == "0" or int(digits) >= LARGEST:
        return [ONES[int(one)] for one in digits]
    if len(digits) == 4 and digits[0] in "12" and digits[1] != "0":  # a year, or said as one
        low = int(digits[2:])
        tail = ["hundred"] if not low else (["oh"] if low < 10 else []) + number(low)
        return number(int(digits[:2])) + tail
    return number(int(digits))


def _ordinal(words: list[str]) -> list[str]:
    last = words[-1]
    if last in ORDINALS:
        return [*words[:-1], ORDINALS[last]]
    return [*words[:-1], last[:-1] + "ieth" if last.endswith("y") else last + "th"]


def _numeral(token: str) -> list[str] | None:
    """Words of a token that is a number, or None where it is not one."""
    sign = MONEY.get(token[0])
    bare = token[1:] if sign else token
    percent = ["percent"] if bare.endswith("%") else []
    bare = bare.removesuffix("%")
    clock = re.fullmatch(r"(\d{1,2}):(\d\d)", bare)
    if clock:
        hour, minute = int(clock[1]), int(clock[2])
        tail = [] if not minute else (["oh"] if minute < 10 else []) + number(minute)
        return number(hour) + (tail or ["o'clock"])
    ordinal = re.fullmatch(r"(\d+)(st|nd|rd|th)", bare)
    if ordinal and int(ordinal[1]) < LARGEST:
        return _ordinal(number(int(ordinal[1])))
    plural = re.fullmatch(r"(\d+)'?s", bare)  # 1980s, 20s
    if plural:
        words = _digits(plural[1])
        last = words[-1]
        return [*words[:-1], last[:-1] + "ies" if last.endswith("y") else last + "s"]
    plain = re.fullmatch(r"(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d+))?", bare)
    if not plain:
        return None
    whole = plain[1].replace(",", "")
    grouped = "," in plain[1] or sign
    words = number(int(whole)) if grouped and int(whole) < LARGEST else _digits(whole)
    if sign:
        words = [*words, sign[0] if words == ["one"] else sign[1]]
        return words + (number(int(plain[2])) if plain[2] and len(plain[2]) == 2 else [])
    if plain[2]:
        words = [*words, "point", *(ONES[int(one)] for one in plain[2])]
    return words + percent


def spoken(token: str) -> list[str]:
    """The words, lower-case, that one written token is read as; none for a mere mark or a note.

    >>> spoken("$20,"), spoken("well-known"), spoken("[laughs]"), spoken("10:30")
    (['twenty', 'dollars'], ['well', 'known'], [], ['ten', 'thirty'])
    """
    token = NOTES.sub(" ", token)
    token = unicodedata.normalize("NFKD", token.replace("’", "'").replace("‘", "'"))  # noqa: RUF001
    token = "".join(one for one in token if not unicodedata.combining(one)).lower()
    words: list[str] = []
    for part in re.split(r"[\s\-–—/_…]+|\.{2,}|(?<=[a-z]{2})[.,?!;:](?=[a-z]{2})", token):  # noqa: RUF001
        bare = part.strip('"“”«»()[]{}<>*~#^|\\.,;:?!¿¡`')
        if bare in SHORT:
            words += SHORT[bare].split()
            continue
        if not any(one.isalnum() for one in bare):
            continue
        numeral = _numeral(bare)
        if numeral is not None:
            words += numeral
        elif re.fullmatch(r"(?:[a-z]\.)+[a-z]", bare):  # u.s.a
            words += [f"{one}." for one in bare.split(".")]
        else:  # letters, with digits said one after another: b4, mp3
            for piece in re.findall(r"\d+|[^\W\d_]+(?:'[^\W\d_]+)*'?|'[^\W\d_]+", bare):
                words += _digits(piece) if piece.isdigit() else [piece]
    return [word for word in words if word.strip("'")]


# grapheme, what must stand before, what must stand after, phones; the first that fits wins.
# "#" a vowel letter, "^" a consonant letter, "_" the word's edge, "+" one of e i y, "" anything.
RULES: tuple[tuple[str, str, str, str], ...] = (
    ("tion", "", "", "SH AH N"), ("sion", "#", "", "ZH AH N"), ("sion", "", "", "SH AH N"),
    ("ture", "", "_", "CH ER"), ("ough", "", "t", "AO"), ("ough", "", "", "OW"),
    ("augh", "", "", "AO"), ("eigh", "", "", "EY"), ("tch", "", "", "CH"), ("igh", "", "", "AY"),
    ("sch", "", "", "SH"), ("dge", "", "", "JH"), ("qu", "", "", "K W"), ("kn", "_", "", "N"),
    ("wr", "_", "", "R"), ("ps", "_", "", "S"), ("wh", "", "", "W"), ("gn", "_", "", "N"),
    ("ght", "", "", "T"), ("gh", "_", "", "G"), ("gh", "", "", ""), ("ph", "", "", "F"),
    ("sh", "", "", "SH"), ("ch", "", "", "CH"), ("th", "", "", "TH"), ("ck", "", "", "K"),
    ("ng", "", "_", "NG"), ("ng", "", "^", "NG"), ("nk", "", "", "NG K"), ("mb", "", "_", "M"),
    ("sc", "", "+", "S"), ("ss", "", "", "S"), ("zz", "", "", "Z"), ("ll", "", "", "L"),
    ("tt", "", "", "T"), ("pp", "", "", "P"), ("bb", "", "", "B"), ("dd", "", "", "D"),
    ("ff", "", "", "F"), ("gg", "", "", "G"), ("mm", "", "", "M"), ("nn", "", "", "N"),
    ("rr", "", "", "R"), ("cc", "", "+", "K S"), ("cc", "", "", "K"), ("kk", "", "", "K"),
    ("air", "", "", "EH R"), ("ear", "", "", "IH R"), ("eer", "", "", "IH R"),
    ("our", "", "", "AO R"), ("oor", "", "", "AO R"), ("are", "", "_", "EH R"),
    ("ai", "", "", "EY"), ("ay", "", "", "EY"), ("au", "", "", "AO"), ("aw", "", "", "AO"),
    ("ee", "", "", "IY"), ("ea", "", "", "IY"), ("ei", "", "", "EY"), ("ey", "", "_", "IY"),
    ("ew", "", "", "UW"), ("eu", "", "", "UW"), ("ie", "", "_", "IY"), ("ie", "", "", "IY"),
    ("oa", "", "", "OW"), ("oo", "", "", "UW"), ("oi", "", "", "OY"), ("oy", "", "", "OY"),
    ("ou", "", "", "AW"), ("ow", "", "_", "OW"), ("ow", "", "", "AW"), ("ue", "", "_", "UW"),
    ("ui", "", "", "UW"), ("ar", "", "", "AA R"), ("er", "", "", "ER"), ("ir", "", "", "ER"),
    ("ur", "", "", "ER"), ("or", "", "", "AO R"), ("ed", "t", "_", "AH D"),
    ("ed", "d", "_", "AH D"), ("es", "s", "_", "AH Z"), ("es", "x", "_", "AH Z"),
    ("le", "^", "_", "AH L"), ("e", "#^", "_", ""), ("e", "^^", "_", ""), ("e", "", "_", "IY"),
    ("a", "", "^e_", "EY"), ("e", "", "^e_", "IY"), ("i", "", "^e_", "AY"),
    ("o", "", "^e_", "OW"), ("u", "", "^e_", "UW"), ("y", "_", "#", "Y"), ("y", "#", "", "Y"),
    ("y", "", "_", "IY"), ("y", "", "", "IH"), ("a", "", "_", "AH"), ("i", "", "_", "IY"),
    ("o", "", "_", "OW"), ("u", "", "_", "UW"), ("a", "", "", "AE"), ("e", "", "", "EH"),
    ("i", "", "", "IH"), ("o", "", "", "AA"), ("u", "", "", "AH"), ("c", "", "+", "S"),
    ("c", "", "", "K"), ("g", "", "+", "JH"), ("g", "", "", "G"), ("s", "#", "#", "Z"),
    ("s", "", "", "S"), ("x", "_", "", "Z"), ("x", "", "", "K S"), ("b", "", "", "B"),
    ("d", "", "", "D"), ("f", "", "", "F"), ("h", "", "", "HH"), ("j", "", "", "JH"),
    ("k", "", "", "K"), ("l", "", "", "L"), ("m", "", "", "M"), ("n", "", "", "N"),
    ("p", "", "", "P"), ("q", "", "", "K"), ("r", "", "", "R"), ("t", "", "", "T"),
    ("v", "", "", "V"), ("w", "", "", "W"), ("z", "", "", "Z"),
)  # fmt: skip
NAMES = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        "EY|B IY|S IY|D IY|IY|EH F|JH IY|EY CH|AY|JH EY|K EY|EH L|EH M|EH N|OW|P IY|K Y UW|AA R|"
        "EH S|T IY|Y UW|V IY|D AH B AH L Y UW|EH K S|W AY|Z IY".split("|"),
        strict=True,
    )
)  # letters as they are named


def _fits(pattern: str, letters: str) -> bool:
    if len(letters) < len(pattern):
        return False
    for sign, letter in zip(pattern, letters, strict=False):
        if not {
            "#": letter in VOWELS,
            "^": letter.isalpha() and letter not in VOWELS,
            "+": letter in "eiy",
        }.get(sign, sign == letter):
            return False
    return True


def sounds(word: str) -> str:
    """Phones (CMU's 39, no stress) of a word by rule; empty where it has no Latin letter.

    >>> sounds("blat"), sounds("kwan"), sounds("brr")
    ('B L AE T', 'K W AE N', 'B R')
    """
    letters = re.sub(r"[^a-z]", "", word.lower())
    if not letters:
        return ""
    if not VOWELS & set(letters):  # initials: nhs, bbc; but brr and shh are said
        if len(letters) <= 4 and len(set(letters)) > 1 and letters[-1] != letters[-2:-1]:
            return " ".join(NAMES[one] for one in letters)
    edged, phones, at = f"_{letters}_", [], 1
    while at < len(edged) - 1:
        for grapheme, before, after, said in RULES:
            end = at + len(grapheme)
            if (
                edged.startswith(grapheme, at)
                and _fits(before[::-1], edged[at - 1 :: -1])
                and _fits(after, edged[end:])
            ):
                phones += said.split()
                at = end
                break
        else:
            raise AssertionError(f"unreachable: no rule for '{edged[at]}'")
    return " ".join(phones) or " ".join(NAMES[one] for one in letters)
