"""Images that do not fit in memory: worker processes read, crop and flip them, a few batches ahead of the step.

Where everything fits, `ImageData` is simpler and far faster: `ImageData.to("cuda")` puts the bytes on the GPU, and
crops, flips and normalisation happen there. This is for full-size photographs on a disk.
"""

import math
from pathlib import Path

import torch

from minijepa.datasets.images import normalise
from minijepa.datasets.open_image import SUFFIXES, open_image, report_one_colour, square
from minijepa.datasets.walk import announce, walk

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and standard deviation, customary for photographs


class LoaderData:
    """A folder of images for `fit`, which finds here what it finds in ImageData: `len` and `batch(index, device)`.

    path: as for `image_folder`; of a folder that is split (train and val) the part to learn from.
    size: the side of the square crops, in pixels.
    workers: processes that read; 0 reads in this one.
    scale, aspect, flip: as in `crop_flip`, done here by torchvision's v2 transforms before the image is made smaller,
    so give `fit` augment=None.
    seed: the crop of an image is a function of seed, step and image, so a run repeats, can be resumed, and is the same
    on any number of processes.
    mean, std: the constants of `batch`.
    Prints the line that `image_folder` prints, and raises ValueError for the same folders. An image is checked when
    it is read: one that cannot be decoded raises DataCorrupt then, and one of a single colour gives a warning with its
    name, from each process that reads it (`image_folder` counts them, and refuses a whole set of one colour).
    """

    def __init__(self, path, size=224, workers=4, scale=(0.3, 1.0), aspect=(0.75, 4 / 3), flip=True, seed=0,
                 mean=IMAGENET[0], std=IMAGENET[1]):  # fmt: skip
        from torchvision.transforms import v2  # late, as torchvision takes a second to import

        found = walk(Path(path).expanduser(), "images", SUFFIXES)
        announce(found.summary)
        count = len(found.files) - sum(found.heldout or [])
        self.files, labels, self.classes = found.files[:count], found.labels[:count], found.classes
        self.labels, self.size, self.workers, self.seed = torch.tensor(labels), size, workers, seed
        # the image's shorter side must have so many pixels, for the smallest crop to have `size`
        self.side = math.ceil(size / math.sqrt(scale[0] * min(aspect[0], 1 / aspect[1])))
        self.mean, self.std = mean, std
        crop = v2.RandomResizedCrop(size, scale=scale, ratio=aspect, antialias=True)
        self.transform = v2.Compose([crop, v2.RandomHorizontalFlip()]) if flip else crop
        self.batches = None

    def __len__(self):
        return len(self.files)

    def __getitem__(self, request):
        """(step, image) -> (step, image, the image as that step sees it, uint8 [3, size, size])."""
        from torchvision.transforms.v2.functional import pil_to_tensor

        step, i = request
        image = pil_to_tensor(open_image(self.files[i], self.side))  # [3, H, W]
        report_one_colour(image[None], [self.files[i]])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(((self.seed * 1_000_003 + step) * 1_000_003 + i) % 2**63)  # what the transforms draw from
            return step, i, self.transform(image)

    def read_ahead(self, requests):
        """Let the workers begin; requests: (step, indices [B]) in the order in which `batch` will ask for them."""
        self.batches = None  # workers get a copy of this object, and an iterator over batches cannot be copied
        batches = ([(step, i) for i in index.tolist()] for step, index in requests)
        pinned = torch.cuda.is_available()
        order = {"batch_sampler": batches, "num_workers": self.workers, "pin_memory": pinned}
        # a generator of its own: else it would take a number from torch's global one
        self.batches = iter(torch.utils.data.DataLoader(self, **order, generator=torch.Generator()))

    def batch(self, index=None, device=None):
        """The images as the model sees them, float32 [B, 3, size, size].

        index: int64 [B], or what indexes such a tensor.
        While `fit` trains: the crops that the workers have ready. Else, for probes: the whole images, resized and
        cropped to their centre. Raises RuntimeError if other images are asked for than were ordered.
        """
        index = torch.arange(len(self)) if index is None else torch.arange(len(self))[index]  # [B]
        if self.batches is None:
            files = [self.files[i] for i in index.tolist()]
            images = torch.stack([square(open_image(file, self.size), self.size) for file in files])
            for image, file in zip(images, files, strict=True):  # [3, size, size]
                report_one_colour(image[None], [file])
        else:
            _, read, images = next(self.batches)
            if not torch.equal(read, index):
                raise RuntimeError(f"images {read.tolist()} were read ahead, but {index.tolist()} are asked for")
        # only from pinned memory may the copy run on while the program goes on
        return normalise(images.to(device, non_blocking=images.is_pinned()), self.mean, self.std)

    def done(self):
        """Stop the workers; from now on `batch` gives whole images."""
        self.batches = None
