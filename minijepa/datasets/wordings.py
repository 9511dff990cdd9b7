"""One meaning, many sentences: a grammar of short answers in which paraphrases share hardly a word.

    red    -->   red | it is scarlet | that would be crimson | i see ruby | ...
    green  -->   green | it is emerald | that would be lime | i see olive | ...

A *meaning* is one of ten: six colours and four shapes. A *wording* is an opening and, for each meaning, a synonym that
belongs to it. Two wordings of one meaning share no synonym; two meanings in one wording share the whole opening. So the
number of words in common tells the wording, and says nothing of the meaning.
"""

import torch

QUESTIONS = (
    "what colour is left",
    "what colour is right",
    "what shape is left",
    "what shape is right",
)
OPENINGS = (
    "{}", "it is {}", "that would be {}", "i see {}",
    "looks like {}", "surely {}", "{} i think", "the answer is {}",
)  # fmt: skip
SYNONYMS = {  # of each meaning, one for each opening
    "red": ("red", "scarlet", "crimson", "ruby", "cherry", "tomato", "blood", "brick"),
    "yellow": ("yellow", "golden", "lemon", "canary", "mustard", "banana", "butter", "straw"),
    "green": ("green", "emerald", "lime", "olive", "jade", "mint", "grass", "moss"),
    "cyan": ("cyan", "turquoise", "aqua", "teal", "lagoon", "ice", "glacier", "opal"),
    "blue": ("blue", "navy", "cobalt", "sapphire", "azure", "denim", "sky", "ocean"),
    "magenta": ("magenta", "fuchsia", "orchid", "raspberry", "plum", "beetroot", "peony", "heather"),
    "disk": ("disk", "circle", "round", "coin", "wheel", "plate", "moon", "button"),
    "square": ("square", "box", "block", "tile", "crate", "quadrangle", "pane", "cube"),
    "triangle": ("triangle", "wedge", "pyramid", "tent", "roof", "arrowhead", "cone", "slice"),
    "plus": ("plus", "cross", "crossroads", "junction", "crucifix", "intersection", "crossing", "crosshair"),
}
MEANINGS = tuple(SYNONYMS)
WORDINGS = len(OPENINGS)
# word 0 fills short answers up; for a decoder it also marks the beginning and the end
ANSWER_WORDS = tuple(
    dict.fromkeys(
        word
        for sentence in ("<pad>", *QUESTIONS, *OPENINGS, *(word for words in SYNONYMS.values() for word in words))
        for word in sentence.replace("{}", "").split()
    )
)
NUMBERS = {word: number for number, word in enumerate(ANSWER_WORDS)}
LONGEST = 4  # words of an answer


def check_paraphrases(paraphrases):
    """Raises ValueError unless this is a number of wordings that there are."""
    if not (isinstance(paraphrases, int) and 1 <= paraphrases <= WORDINGS):
        raise ValueError(f"paraphrases is {paraphrases!r}; expected a whole number of wordings, 1 to {WORDINGS}")


def number_words(sentences, length=None):
    """Sentences as indices into ANSWER_WORDS: N strings -> int64 [N, L], short ones filled up with 0.

    length: L, or None for that of the longest. Raises ValueError for a word that is not in ANSWER_WORDS.
    """
    rows = [sentence.split() for sentence in sentences]
    unknown = sorted({word for row in rows for word in row if word not in NUMBERS})
    if unknown:
        raise ValueError(f"no question or answer has the word {', '.join(unknown)}: use those of ANSWER_WORDS")
    length = max(map(len, rows)) if length is None else length
    return torch.tensor([[NUMBERS[word] for word in row] + [0] * (length - len(row)) for row in rows])


def read_words(words):
    """Indices as sentences, the filling left out: int64 [N, L] -> N strings."""
    return [" ".join(ANSWER_WORDS[number] for number in row if number) for row in words.tolist()]


def answers_of(paraphrases=WORDINGS):
    """All answers in the first so many wordings, meaning by meaning.

    Returns the sentences, a list of M = 10 x paraphrases strings, and their meanings, int64 [M], indices into MEANINGS.
    Raises ValueError for a number of wordings that there is not.
    """
    check_paraphrases(paraphrases)
    pairs = list(zip(OPENINGS, range(WORDINGS), strict=True))[:paraphrases]
    sentences = [opening.format(SYNONYMS[meaning][k]) for meaning in MEANINGS for opening, k in pairs]
    return sentences, torch.arange(len(MEANINGS)).repeat_interleave(paraphrases)


def mixed_answers():
    """Answers that no data set contains: every synonym with the seven openings that are not its own.

    Returns 560 sentences, a list of strings, and their meanings, int64 [560].
    """
    sentences, meanings = [], []
    for number, meaning in enumerate(MEANINGS):
        for k, word in enumerate(SYNONYMS[meaning]):
            sentences += [opening.format(word) for j, opening in enumerate(OPENINGS) if j != k]
            meanings += [number] * (WORDINGS - 1)
    return sentences, torch.tensor(meanings)


def word_edits(first, second):
    """Edit distance in words: the least number of words to insert, delete or replace, a whole number >= 0.

    first, second: two sentences, strings.
    """
    first, second = first.split(), second.split()
    row = list(range(len(second) + 1))
    for i, word in enumerate(first, 1):
        above, row = row, [i]
        for j, other in enumerate(second, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (word != other)))
    return row[-1]
