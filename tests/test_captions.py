"""Single shapes and their captions: factors are what is drawn, sentences say them and can be read back."""

import json
import math
from itertools import product

import pytest
import torch

from minijepa.datasets import VOCABULARY, captioned, captions, describe, single_shapes, to_tokens, to_words
from minijepa.datasets.captions import WORDS
from minijepa.datasets.shapes.single import HUES, MEAN, STD, on_circle


@pytest.fixture(scope="module")
def data():
    return single_shapes(1_000, seed=0)


def test_the_same_seed_gives_the_same_images_and_fewer_are_the_first_of_them(data):
    few = single_shapes(300, seed=0)
    assert torch.equal(few.images, data.images[:300])
    assert all(torch.equal(few.factors[name], data.factors[name][:300]) for name in data.factors)
    assert not torch.equal(single_shapes(300, seed=1).images, few.images)
    with pytest.raises(ValueError, match="n is 0"):
        single_shapes(0)


def test_the_constants_are_those_of_the_images(data):
    x = data.images.float() / 255
    assert torch.allclose(x.mean(dim=(0, 2, 3)), torch.tensor(MEAN), atol=0.01)
    assert torch.allclose(x.std(dim=(0, 2, 3)), torch.tensor(STD), atol=0.01)


def test_the_object_lies_where_the_factors_say_and_has_their_colour_and_size(data):
    """Measured on the pixels: centre and area of what is coloured, and the nearest of the six colours."""
    x = data.images.float() / 255  # [N, 3, 32, 32]
    inside = (x.amax(dim=1) - x.amin(dim=1)) > 0.32  # [N, 32, 32]
    area = inside.sum(dim=(1, 2))
    places = torch.arange(32) + 0.5
    for name, sums in (("x", inside.sum(dim=1)), ("y", inside.sum(dim=2))):
        centre = (sums * places).sum(dim=1) / area
        assert (centre - data.factors[name]).abs().quantile(0.99) < 1.0, name
    colour = (x * inside[:, None]).sum(dim=(2, 3)) / area[:, None]  # [N, 3]
    names = torch.arange(6) * 2 * math.pi / 6
    found = ((colour - colour.mean(dim=1, keepdim=True)) @ on_circle(names).T).argmax(dim=1)
    assert (found == data.factors["colour"]).float().mean() > 0.99
    large, small = (area[data.factors["size"] == kind].float().mean() for kind in (1, 0))
    assert large > 1.5 * small


def test_colours_are_equally_bright_and_at_one_distance_from_grey():
    circle = on_circle(torch.arange(6) * 2 * math.pi / 6)  # [6, 3]
    assert torch.allclose(circle.sum(dim=1), torch.zeros(6), atol=1e-6)
    assert torch.allclose(circle.norm(dim=1), torch.ones(6), atol=1e-6)
    assert HUES == ("red", "yellow", "green", "cyan", "blue", "magenta") and circle[0].argmax() == 0
    assert circle[2].argmax() == 1 and circle[4].argmax() == 2  # green, blue
    assert circle[1].argmin() == 2 and circle[3].argmin() == 0 and circle[5].argmin() == 1  # yellow, cyan, magenta


def test_factors_are_independent(data):
    names = ("shape", "colour", "size", "row", "column")
    columns = torch.stack([data.factors[name].float() for name in names])
    assert (torch.corrcoef(columns) - torch.eye(5)).abs().max() < 0.12  # 1 / sqrt(1,000) is .03


def test_a_sentence_says_the_factors_and_can_be_read_back(data):
    pairs = captioned(data)
    sentences = to_words(pairs.captions)
    for i in range(50):
        words = {name: WORDS[name][int(data.factors[name][i])] for name in WORDS}
        assert sentences[i] == "a {size} {colour} {shape} at the {row} {column}".format(**words)
    assert torch.equal(to_tokens(sentences), pairs.captions)
    assert pairs.captions.dtype == torch.int64 and pairs.captions.shape == (1_000, 8)
    batch = pairs.batch(torch.tensor([3, 5]))
    assert torch.equal(batch.captions, pairs.captions[[3, 5]]) and batch.images.shape == (2, 3, 32, 32)
    assert len(pairs) == 1_000 and len(pairs.batch().captions) == 1_000


def test_what_is_left_out_is_in_no_word(data):
    """Every subset of the factors, and of none: the others are said, these are not."""
    few = {name: values[:20] for name, values in data.factors.items()}
    for chosen in product((False, True), repeat=len(WORDS)):
        left_out = [name for name, out in zip(WORDS, chosen, strict=True) if out]
        for i, sentence in enumerate(describe(few, left_out)):
            said = set(sentence.split())
            for name, words in WORDS.items():
                expected = set() if name in left_out else {words[int(few[name][i])]}
                assert said & set(words) == expected, sentence
            assert ("at" in said) == (not {"row", "column"} <= set(left_out))
    with pytest.raises(ValueError, match="a caption can leave out size, colour.*got hue"):
        describe(few, ("hue",))


def test_short_sentences_are_padded_and_unknown_words_are_named():
    tokens = to_tokens(["a red disk", "a disk"])
    assert tokens.tolist()[1][-1] == 0 == VOCABULARY.index("<pad>") and to_words(tokens) == ["a red disk", "a disk"]
    with pytest.raises(ValueError, match="no word purple"):
        to_tokens(["a purple disk"])
    assert len(set(VOCABULARY)) == len(VOCABULARY)


def test_the_example_of_the_file_is_true():
    sentence, numbers = captions.__doc__.split("\n")[2].split("<-->")
    assert to_tokens([sentence.strip()]).tolist() == [json.loads(numbers)]
