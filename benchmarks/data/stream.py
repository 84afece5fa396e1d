"""Pictures decoded as they are asked for, by threads a little ahead of their use: never all in memory."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.data.arrays import Images
from benchmarks.data.crops import Draws, crop_box, mirrored
from benchmarks.data.decoding import NOT_SAID, Levels, picture, square

Rows = npt.NDArray[np.int64]
Job = TypeVar("Job")
Result = TypeVar("Result")

AHEAD = 256
"""Pictures decoded, or being decoded, before they are asked for."""


@dataclass(frozen=True, eq=False)
class Stream:
    """Picture files below `root`, seen as squares of `size` pixels a side.

    `paths` [n], below the root, in forward slashes; `sizes` int64 [n] in bytes; `shorter`: what the shorter
    side of a picture is resized to before the middle is cut out; `levels` of deep pictures.
    """

    root: Path
    paths: npt.NDArray[np.str_]
    sizes: npt.NDArray[np.int64]
    size: int
    shorter: int
    levels: Levels = NOT_SAID

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """That of the array that the decoded pictures would be, [n, 3, h, w]."""
        return len(self), 3, self.size, self.size

    def part(self, rows: Rows) -> Stream:
        """The pictures at `rows` [k] as a stream of their own."""
        return replace(self, paths=self.paths[rows], sizes=self.sizes[rows])

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 over the relative path and the bytes of every file, and over how it is seen.

        Not over contents: to read them all takes longer than many a run. A file that was changed without
        changing its length is not noticed.
        """
        seen = (self.size, self.shorter, *(self.levels if self.levels != NOT_SAID else ()))
        digest = hashlib.sha256(repr(seen).encode())
        for path, size in zip(self.paths.tolist(), self.sizes.tolist(), strict=True):
            digest.update(os.fsencode(f"{path}\0{size}\n"))
        return digest.digest()

    def read(self, batches: Iterable[tuple[Rows, Draws | None]]) -> Iterator[Images]:
        """Pictures uint8 [k, h, w, 3] of each batch of rows [k]: their middle or, with draws [k, DRAWS],
        random-resized crops, half of them mirrored.

        Batches are asked for as decoding goes on, in order. At most AHEAD pictures beside the batch that is
        handed out are in memory. Raises DataError for a file that is not a whole image.
        """
        jobs = (
            (row, None if draws is None else draws[place], place == len(rows) - 1)
            for rows, draws in batches
            for place, row in enumerate(rows.tolist())
        )
        batch: list[Images] = []
        for decoded, last in ahead(lambda job: (self._decode(job[0], job[1]), job[2]), jobs, AHEAD):
            batch.append(decoded)
            del decoded
            if last:
                images = np.stack(batch)
                batch.clear()
                yield images

    def _decode(self, row: int, draws: Draws | None) -> Images:
        """One picture, uint8 [h, w, 3]."""
        path = self.root / str(self.paths[row])
        if draws is None:
            return picture(path, lambda rgb: square(rgb, self.size, self.shorter), self.levels)
        crop = picture(path, lambda rgb: _resized(rgb, crop_box(*rgb.size, draws), self.size), self.levels)
        return crop[:, ::-1] if mirrored(draws) else crop


def _resized(image: Image.Image, box: tuple[int, int, int, int], size: int) -> Image.Image:
    # cut out first: else the filter would see what lies beside the box
    return image.crop(box).resize((size, size), Image.Resampling.BILINEAR)


def ahead(work: Callable[[Job], Result], jobs: Iterable[Job], limit: int) -> Iterator[Result]:
    """Results of `work` in the order of `jobs`, by as many threads as there are cores.

    No more than `limit` jobs are under way or wait to be asked for. What is left of them when the iterator
    is closed, or when one fails, is not begun any more.
    """
    source = iter(jobs)
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        waiting: deque[Future[Result]] = deque(pool.submit(work, job) for job in islice(source, limit))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(work, job) for job in islice(source, 1))
            yield result
            del result
    finally:
        pool.shutdown(cancel_futures=True)
