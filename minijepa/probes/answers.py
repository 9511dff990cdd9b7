"""Is an answer right in its meaning, whatever its words? Scores for a model that embeds and for one that writes.

    embeds   the nearest of all sentences; the nearest of the meanings, each the mean of its wordings (more generous)
    writes   the written sentence is a wording of the right meaning, word for word; it has a synonym of the right
             meaning and of no other (more generous); the likeliest of all sentences; the likeliest of the meanings,
             over the sum of its wordings (more generous)

A random sentence is right in one of ten cases.
"""

import torch
from torch.nn import functional as F

from minijepa.datasets.wordings import LONGEST, MEANINGS, NUMBERS, SYNONYMS, answers_of, number_words
from minijepa.vit import eval_mode


@torch.no_grad()
def embedded_answers(model, data, candidates=None):
    """Accuracies in [0, 1] of a model with `predict` and `embed`, such as VL-JEPA.

    data: QuestionData. candidates: (sentences, meanings) to choose from; None: all that the data could contain.
    Returns {"nearest sentence", "nearest meaning"}.
    """
    sentences, meanings = answers_of(data.paraphrases) if candidates is None else candidates
    with eval_mode(model):
        asked = data.batch()
        u = model.predict(asked.seen, asked.question)  # [N, D]
        v = model.embed(number_words(sentences, LONGEST))  # [C, D]
    nearest = meanings[(u @ v.T).argmax(dim=1)]  # [N]
    centres = torch.stack([F.normalize(v[meanings == number].mean(dim=0), dim=0) for number in range(len(MEANINGS))])
    return {
        "nearest sentence": right(nearest, data.meaning),
        "nearest meaning": right((u @ centres.T).argmax(dim=1), data.meaning),
    }


@torch.no_grad()
def written_answers(model, data, likelihoods=300):
    """Accuracies in [0, 1] of a model with `write` and `log_likelihood`, such as the token VLM.

    data: QuestionData. likelihoods: of how many examples the likelihoods are computed, which takes long.
    Returns {"written", "right synonym", "likeliest sentence", "likeliest meaning"}.
    """
    sentences, meanings = answers_of(data.paraphrases)
    candidates = number_words(sentences, LONGEST)  # [C, L]
    few = data.subset(slice(0, likelihoods))
    with eval_mode(model):
        asked = data.batch()
        written = model.write(asked.seen, asked.question)  # [N, L]
        asked = few.batch()
        scores = model.log_likelihood(asked.seen, asked.question, candidates)  # [n, C]
    same = (written[:, None] == candidates).all(dim=-1)  # [N, C]
    exact = (same & (meanings == data.meaning[:, None])).any(dim=1)  # [N]
    table = torch.tensor([[NUMBERS[word] for word in words] for words in SYNONYMS.values()])  # [meanings, wordings]
    says = (written[:, :, None, None] == table).any(dim=-1).any(dim=1)  # [N, meanings]
    alone = says & (says.sum(dim=1, keepdim=True) == 1)
    sums = scores.view(len(few), len(MEANINGS), -1).logsumexp(dim=-1)  # [n, meanings]
    return {
        "written": exact.float().mean().item(),
        "right synonym": alone.gather(1, data.meaning[:, None]).float().mean().item(),
        "likeliest sentence": right(meanings[scores.argmax(dim=1)], few.meaning),
        "likeliest meaning": right(sums.argmax(dim=1), few.meaning),
    }


def right(chosen, truth):
    """The fraction of meanings that are right: two times int64 [N] -> float."""
    return (chosen == truth).float().mean().item()
