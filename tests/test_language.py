"""Questions and wordings say what is drawn; VL-JEPA and the token model are what their formulas say."""

import itertools
from functools import lru_cache

import pytest
import torch
from helpers import planted, seeded
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from minijepa import fit, plots
from minijepa.datasets import (
    ANSWER_WORDS,
    MEANINGS,
    OPENINGS,
    QUESTIONS,
    SYNONYMS,
    answers_of,
    mixed_answers,
    number_words,
    question_scenes,
    questions,
    read_words,
    scene_streams,
    word_edits,
    wordings,
)
from minijepa.datasets.questions import MEAN, SIDE, STD
from minijepa.datasets.shapes.single import HUES, SHAPES, on_circle
from minijepa.family import at_intervals, clip_loss, cosine_loss, held, spread, vl_jepa, vlm, when_moved
from minijepa.probes import answers, embedded_answers, written_answers

SEEN = (2, 10)


@pytest.fixture(scope="module")
def data():
    return question_scenes(600, seed=0)


def told(scenes):
    """The scenes with the factors of each object themselves as its vector: what a perfect encoder would give."""
    own = scenes.objects().factors
    return scenes.seen_as(torch.cat([F.one_hot(own["colour"], 6), F.one_hot(own["shape"], 4)], dim=1) * 2.5)


# --- wordings ---


def test_wordings_share_openings_and_never_synonyms():
    words = [word for row in SYNONYMS.values() for word in row]
    assert len(set(words)) == len(words) == 80 and all(len(row) == len(OPENINGS) for row in SYNONYMS.values())
    other = set(" ".join([*OPENINGS, *QUESTIONS]).replace("{}", "").split())
    assert not other & set(words) and len(set(ANSWER_WORDS)) == len(ANSWER_WORDS)
    assert tuple(MEANINGS) == (*HUES, *SHAPES)


@pytest.mark.parametrize("paraphrases", [1, 2, 8])
def test_answers_are_grouped_by_meaning_and_can_be_read_back(paraphrases):
    sentences, meaning = answers_of(paraphrases)
    assert len(sentences) == len(set(sentences)) == 10 * paraphrases
    for sentence, number in zip(sentences, meaning.tolist(), strict=True):
        assert len(set(sentence.split()) & set(SYNONYMS[MEANINGS[number]])) == 1
        assert not any(set(sentence.split()) & set(row) for m, row in SYNONYMS.items() if m != MEANINGS[number])
    assert read_words(number_words(sentences)) == sentences
    with pytest.raises(ValueError, match="paraphrases is 9"):
        answers_of(9)
    with pytest.raises(ValueError, match="the word purple"):
        number_words(["it is purple"])


def test_mixed_answers_are_new_and_complete():
    sentences, meaning = mixed_answers()
    assert len(set(sentences)) == 560 and not set(sentences) & set(answers_of()[0])
    assert torch.bincount(meaning).tolist() == [56] * 10
    for sentence, number in zip(sentences, meaning.tolist(), strict=True):
        assert set(sentence.split()) & set(SYNONYMS[MEANINGS[number]])


def slow_edits(first, second):
    """The definition: the best of deleting, inserting and replacing the first word."""

    @lru_cache(None)
    def best(a, b):
        if not a or not b:
            return len(a) + len(b)
        return min(best(a[1:], b) + 1, best(a, b[1:]) + 1, best(a[1:], b[1:]) + (a[0] != b[0]))

    return best(tuple(first.split()), tuple(second.split()))


few_words = st.lists(st.sampled_from("abc"), max_size=5).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(few_words, few_words, few_words)
def test_word_edits_are_a_distance_and_agree_with_the_definition(a, b, c):
    assert word_edits(a, b) == slow_edits(a, b) == word_edits(b, a)
    assert (word_edits(a, b) == 0) == (a.split() == b.split())
    assert word_edits(a, c) <= word_edits(a, b) + word_edits(b, c)
    assert word_edits("it is scarlet", "it is emerald") == 1


def test_a_wrong_edit_distance_is_found():
    bad = planted(wordings, "row[-1] + 1", "row[-1] + 2")
    pairs = list(itertools.product(["a b c", "b c", "c a", "a"], repeat=2))
    assert any(bad.word_edits(a, b) != slow_edits(a, b) for a, b in pairs)


# --- pictures and questions ---


def check_scenes(module):
    """The answer is right for the factors, and the factors are what the pixels show."""
    data = module.question_scenes(300, seed=3)
    for i in range(300):
        question, meaning = QUESTIONS[data.question[i]].split(), MEANINGS[data.meaning[i]]
        side = int(question[-1] == "right")
        names = HUES if question[1] == "colour" else SHAPES
        assert meaning == names[int(data.factors[question[1]][i, side])]
    x = data.images.float() / 255
    names = torch.arange(6) * 2 * torch.pi / 6
    for side in (0, 1):
        half = x[..., side * SIDE : (side + 1) * SIDE]
        inside = half.amax(dim=1, keepdim=True) - half.amin(dim=1, keepdim=True) > 0.3
        colour = (half * inside).sum(dim=(2, 3)) / inside.sum(dim=(2, 3))
        found = ((colour - colour.mean(dim=1, keepdim=True)) @ on_circle(names).T).argmax(dim=1)
        assert (found == data.factors["colour"][:, side]).float().mean() > 0.98


def test_answers_are_those_of_the_pixels():
    check_scenes(questions)


@pytest.mark.parametrize(
    "old, new",
    [
        ("halves.unbind(1), dim=-1", "halves.unbind(1)[::-1], dim=-1"),
        (
            'torch.cat([factors["colour"], len(HUES) + factors["shape"]], dim=1)',
            "torch.cat([factors['colour'].flip(1), 6 + factors['shape']], dim=1)",
        ),
    ],
)  # fmt: skip
def test_a_swap_of_left_and_right_is_found(old, new):
    with pytest.raises(AssertionError):
        check_scenes(planted(questions, old, new))


def test_paraphrases_change_the_words_and_nothing_else(data):
    one, few = question_scenes(600, 1, seed=0), question_scenes(300, seed=0)
    assert torch.equal(one.images, data.images) and torch.equal(one.meaning, data.meaning)
    assert one.wording.max() == 0 and set(data.wording.tolist()) == set(range(8))
    assert torch.equal(few.images, data.images[:300]) and torch.equal(few.wording, data.wording[:300])
    batch = data.batch(torch.tensor([5, 7]))
    sentences = answers_of()[0]
    assert read_words(batch.answer) == [sentences[8 * int(data.meaning[i]) + int(data.wording[i])] for i in (5, 7)]
    assert read_words(batch.question) == [QUESTIONS[data.question[i]] for i in (5, 7)]
    for arguments in ({"n": 0}, {"n": 5, "paraphrases": 0}):
        with pytest.raises(ValueError):
            question_scenes(**arguments)


def test_the_constants_are_those_of_the_pictures(data):
    x = data.images.float() / 255
    assert torch.allclose(x.mean(dim=(0, 2, 3)), torch.tensor(MEAN), atol=0.01)
    assert torch.allclose(x.std(dim=(0, 2, 3)), torch.tensor(STD), atol=0.01)


def test_objects_and_their_vectors_stay_with_their_picture(data):
    objects = data.objects()
    assert torch.equal(objects.images[5], data.images[5, :, :, :SIDE])
    assert torch.equal(objects.images[605], data.images[5, :, :, SIDE:])
    seen = data.seen_as(torch.arange(1_200.0)[:, None]).batch(torch.tensor([5])).seen
    assert seen.tolist() == [[[5.0], [605.0]]]


def test_streams_change_one_factor_at_a_time():
    streams = scene_streams(40, 50, seed=1)
    assert torch.equal(scene_streams(40, 50, seed=1).images, streams.images)
    changed = streams.meaning[:, 1:] != streams.meaning[:, :-1]  # [S, T - 1, 4]
    assert changed.sum(dim=-1).max() == 1
    assert abs(changed.any(dim=-1).float().mean().item() - 0.1) < 0.02
    seen, question = streams.asked(torch.arange(4_000.0)[:, None])
    truth = streams.truth()
    assert seen.shape == (8_000, 2, 1) and question.shape == (8_000, 4) and truth.shape == (160, 50)
    assert read_words(question[[0, -1]]) == [QUESTIONS[0], QUESTIONS[3]]
    assert torch.equal(truth[40:80], streams.meaning[..., 1]) and seen[2_000 + 50].tolist() == [[50.0], [2_050.0]]


# --- VL-JEPA ---


def test_the_loss_is_the_contrast_of_predictions_and_answers(data):
    torch.manual_seed(0)
    model, asked = vl_jepa.model(SEEN), told(data).batch(slice(0, 6))
    u, v = model.predict(asked.seen, asked.question), model.embed(asked.answer)
    logits = (u @ v.T * model.log_scale.exp()).double()
    slow = sum(-(logits[i, i] - logits[i].logsumexp(0)) - (logits[i, i] - logits[:, i].logsumexp(0)) for i in range(6))
    assert torch.allclose(model(asked).loss.double(), slow / 12, atol=1e-5)
    assert torch.allclose(model(asked).loss, clip_loss(u, v, model.log_scale.exp()))
    assert torch.allclose(u.norm(dim=1), torch.ones(6)) and torch.allclose(v.norm(dim=1), torch.ones(6))
    assert torch.allclose(cosine_loss(u, v, None), (1 - (u * v).sum(dim=1)).mean())
    assert spread(u[:1].expand(5, -1)) < 1e-5 < spread(torch.eye(4)) == pytest.approx(0.5)


def test_a_frozen_answer_encoder_does_not_move_and_a_trained_one_does(data):
    for learned in (False, True):
        torch.manual_seed(0)
        model = vl_jepa.model(SEEN, learned_answers=learned)
        before = [p.clone() for p in (*model.answers.parameters(), *model.answer_head.parameters())]
        fit(model, told(data), steps=2, **vl_jepa.TRAINING)
        after = [*model.answers.parameters(), *model.answer_head.parameters()]
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True)) != learned


def test_embedded_answers_count_meanings(data):
    """A model that knows the meaning is always right; one that knows the wording only is right by chance."""

    class Oracle(torch.nn.Module):
        def __init__(self, wrong=0):
            super().__init__()
            self.wrong = wrong

        def predict(self, x, question):
            return torch.eye(10)[(data.meaning + self.wrong) % 10]

        def embed(self, answer):
            own = [
                next(i for i, row in enumerate(SYNONYMS.values()) if set(s.split()) & set(row))
                for s in read_words(answer)
            ]
            return torch.eye(10)[own]  # fmt: skip

    assert embedded_answers(Oracle(), data) == {"nearest sentence": 1.0, "nearest meaning": 1.0}
    assert embedded_answers(Oracle(1), data) == {"nearest sentence": 0.0, "nearest meaning": 0.0}
    assert embedded_answers(Oracle(), data, mixed_answers())["nearest sentence"] == 1.0


# --- the token model ---


def check_causal(module):
    torch.manual_seed(0)
    model = module.model(SEEN).eval()
    tokens = torch.randn(2, 6, 48, generator=seeded())
    words = number_words(["it is scarlet", "i see ruby"], 4)
    changed = words.clone()
    changed[:, 2] = 5
    a, b = model.scores(tokens, words), model.scores(tokens, changed)
    assert torch.allclose(a[:, :2], b[:, :2], atol=1e-6) and not torch.allclose(a[:, 2:], b[:, 2:], atol=1e-3)
    assert not torch.allclose(model.scores(tokens.flip(0), words)[:, 0], a[:, 0], atol=1e-3)


def test_no_word_sees_the_words_after_it():
    check_causal(vlm)
    with pytest.raises(AssertionError):
        check_causal(planted(vlm, "device=x.device).tril()", "device=x.device)"))


def test_likelihood_is_the_product_of_the_words_and_the_loss_its_mean(data):
    torch.manual_seed(0)
    model, asked = vlm.model(SEEN).eval(), told(data).batch(slice(0, 3))
    candidates = number_words(["red", "it is scarlet", "the answer is brick"], 4)
    with torch.no_grad():
        scores = model.log_likelihood(asked.seen, asked.question, candidates)
        tokens = model.trunk(asked.seen, asked.question)
        for b, c in itertools.product(range(3), range(3)):
            written = [n for n in candidates[c].tolist() if n] + [0]
            slow = 0.0
            for k, word in enumerate(written):
                given = torch.tensor([[0, *written[:k]]])
                slow += model.scores(tokens[b : b + 1], given)[0, -1].log_softmax(dim=0)[word].item()
            assert scores[b, c].item() == pytest.approx(slow, abs=1e-4)
        words = sum(len(s.split()) + 1 for s in read_words(asked.answer))
        own = model.log_likelihood(asked.seen, asked.question, asked.answer).diagonal().sum()
        assert model(asked).loss.item() == pytest.approx(-own.item() / words, abs=1e-4)


def test_a_wrong_shift_is_found(data):
    bad = planted(vlm, "before = F.pad(answer, (1, 0), value=EDGE)", "before = F.pad(answer, (0, 1), value=EDGE)")
    before, word, counts = bad.shifted(number_words(["it is scarlet"], 4))
    assert not torch.equal(before, vlm.shifted(number_words(["it is scarlet"], 4))[0])
    before, word, counts = vlm.shifted(number_words(["it is scarlet"], 4))
    assert before.tolist()[0][0] == 0 and torch.equal(before[0, 1:4], word[0, :3]) and counts[0].sum() == 4


def test_both_models_learn_from_perfect_vectors():
    """One wording, the factors themselves as vectors: 250 steps are enough for either, and chance is a fifth."""
    train, test = (told(question_scenes(n, 1, seed=seed)) for n, seed in ((4_000, 1), (300, 2)))
    for method, judge in ((vl_jepa, embedded_answers), (vlm, written_answers)):
        torch.manual_seed(0)
        model = method.model(SEEN)
        fit(model, train, steps=250, **method.TRAINING)
        assert min(judge(model, test).values()) > 0.8


def test_written_answers_are_counted_by_meaning(data):
    """A writer that uses another wording than the data is right; one that mixes opening and synonym only in part."""
    few = data.subset(slice(0, 50))
    sentences, _ = answers_of()

    class Writer(torch.nn.Module):
        def __init__(self, text):
            super().__init__()
            self.text = text

        def write(self, x, question):
            return number_words([self.text(int(m)) for m in few.meaning], 4)

        def log_likelihood(self, x, question, candidates):
            return torch.where(torch.arange(80) == 8 * few.meaning[:, None] + 3, 0.0, -9.0)

    other = written_answers(Writer(lambda m: sentences[8 * m + 3]), few)
    assert set(other.values()) == {1.0}
    mixed = written_answers(Writer(lambda m: "it is " + SYNONYMS[MEANINGS[m]][3]), few)
    assert mixed["written"] == 0 and mixed["right synonym"] == 1
    both = written_answers(Writer(lambda m: "it is red green"), few)
    assert both["written"] == both["right synonym"] == 0
    bad = planted(answers, "(meanings == data.meaning[:, None])", "(meanings != data.meaning[:, None])")
    assert bad.written_answers(Writer(lambda m: sentences[8 * m + 3]), few)["written"] == 0


# --- words on demand ---


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 2))
def test_selective_decoding_is_the_loop(seed, delta):
    u = F.normalize(torch.randn(3, 12, 4, generator=seeded(seed)), dim=-1)
    decode = when_moved(u, delta)
    for s in range(3):
        last = None
        for t in range(12):
            due = last is None or bool((u[s, t] - u[s, last]).norm() > delta)
            assert bool(decode[s, t]) == due
            last = t if due else last
    names = torch.randint(0, 9, (3, 12), generator=seeded(seed))
    heard = held(names, decode)
    for s in range(3):
        said = None
        for t in range(12):
            said = names[s, t] if decode[s, t] else said
            assert heard[s, t] == said


def test_a_trigger_that_compares_with_the_frame_before_is_found():
    """Slow drift: no step is long, so only the distance to the last decoded frame ever exceeds delta."""
    angle = torch.linspace(0, 3, 31)
    u = torch.stack([angle.cos(), angle.sin()], dim=-1)[None]
    assert when_moved(u, 0.5).sum() > 3
    bad = planted(vl_jepa, "last = torch.where(moved[:, None], u[:, t], last)", "last = u[:, t]")
    assert bad.when_moved(u, 0.5).sum() == 1


def test_equal_intervals_are_equal():
    for count in (1, 2, 5, 16, 64):
        decode = at_intervals(2, 64, count)
        assert decode.sum(dim=1).tolist() == [count] * 2 and decode[:, 0].all()
        gaps = decode[0].nonzero()[:, 0].diff()
        assert count == 1 or gaps.max() - gaps.min() <= 1


# --- figures ---


def test_figures_show_what_they_are_given(data):
    figure = plots.question_gallery(data.images[:5], [f"title {i}" for i in range(5)])
    assert [ax.get_title() for ax in figure.axes if ax.get_title()] == [f"title {i}" for i in range(5)]
    plots.plt.close(figure)
    figure = plots.score_ranges({"a": {1: [0.2, 0.4], 8: [0.6, 0.8]}}, "wordings", chance=0.1)
    lines = figure.axes[0].lines
    assert list(lines[0].get_ydata()) == pytest.approx([0.3, 0.7]) and list(lines[1].get_ydata()) == [0.2, 0.4]
    plots.plt.close(figure)
    square = torch.rand(20, 20, generator=seeded())
    figure = plots.sentence_distances({"one": square, "two": square}, MEANINGS)
    shown = torch.as_tensor(figure.axes[0].images[0].get_array())
    assert torch.allclose(shown, square) and figure.axes[0].get_yticklabels()[0].get_text() == "red"
    plots.plt.close(figure)
    decode = torch.tensor([True, False, True, False])
    truth = ["red", "red", "blue", "blue"]
    figure = plots.stream_timeline(data.images[:4], [0.0, 0.1, 0.9, 0.0], 0.5, decode, truth, truth)
    marks = next(line for line in figure.axes[-1].lines if line.get_label() == "decoded here")
    assert list(marks.get_xdata()) == [0, 2] and list(marks.get_ydata()) == [0.0, 0.9]
    plots.plt.close(figure)
