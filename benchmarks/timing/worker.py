"""A process that executes and times operating points on request: a line of JSON in, a line of JSON out.

It is started as a file with the folder of the code to measure as its argument: one instrument serves every version
of the methods, of which it needs `methods.storage.load` and `model.execute` only.
"""

import gc
import hashlib
import json
import os
import runpy
import sys
import time
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from types import GeneratorType
from typing import Any

Call = Callable[[Any], object]
OTHERS = 0.05
"""Others may have the core for this share of a call that is alone."""
Point = str | dict[str, Any]
"""A point of a model by its name, or the whole of one that the model's file does not have."""


def seconds_of(call: Call, images: Sequence[Any], cuda: Any = None) -> list[float]:
    """Seconds of the call on each of `images`, batches [n, c, h, w]; see `clocked`."""
    return [wall for wall, _ in clocked(call, images, cuda)]


def clocked(call: Call, images: Sequence[Any], cuda: Any = None) -> list[tuple[float, float]]:
    """Seconds of the call on each of `images`, and for how many of them this thread had a processor.

    The collector is off meanwhile. `cuda`: the device to wait for at both ends of a call, if it is one that has to be
    waited for.
    """
    import torch

    seconds = []
    enabled = gc.isenabled()
    gc.disable()
    with torch.inference_mode():
        for batch in images:
            if cuda:
                torch.cuda.synchronize(cuda)
            begun, own = time.perf_counter(), time.thread_time()
            call(batch)
            if cuda:
                torch.cuda.synchronize(cuda)
            own = time.thread_time() - own
            seconds.append((time.perf_counter() - begun, own))
    if enabled:
        gc.enable()
    return seconds


def warmed(call: Call, images: Sequence[Any], cuda: Any = None) -> float:
    """Call until five calls agree with the five before (medians within a tenth), 30 calls or 1.5 s.

    Returns the seconds of a call.
    """
    seconds: list[float] = []
    while len(seconds) < 30 and sum(seconds) < 1.5:
        seconds += seconds_of(call, [images[len(seconds) % len(images)]], cuda)
        if len(seconds) >= 10 and abs(median(seconds[-5:]) / median(seconds[-10:-5]) - 1) < 0.1:
            break
    return median(seconds[-5:])


class Unseen(Sequence[Any]):
    """Batches [n, c, h, w] of images that no call was given before: each look adds other noise to what it looks at.

    The noise is at most one of 255 levels a pixel. Images take the paths that they took without it, but a method that
    remembers images, over all of its points, meets none again. `mean`, `std` [c]: how the images were standardised.
    """

    def __init__(self, batches: Sequence[Any], mean: Sequence[float], std: Sequence[float]) -> None:
        import torch

        self.batches, device = batches, batches[0].device
        average, spread = (torch.tensor(values, device=device).view(-1, 1, 1) for values in (mean, std))
        self.level, self.black, self.white = 1 / (255 * spread), -average / spread, (1 - average) / spread
        self.draws = torch.Generator(device).manual_seed(0)

    def turn_to(self, number: int) -> None:
        """Go on with the noise of this number, which was not had before: two processes then see the same images."""
        self.draws.manual_seed(1 + number)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, place: Any) -> Any:
        import torch

        batch = self.batches[place]
        noise = torch.empty_like(batch).random_(-1, 2, generator=self.draws)
        return noise.mul_(self.level).add_(batch).clamp_(self.black, self.white)


class Served:
    """Loaded models and images, and the calls that are timed on them."""

    def __init__(self) -> None:
        self.calls: dict[tuple[int, str], Call] = {}
        self.images: Sequence[Any] = []

    def load(
        self,
        models: list[dict[str, Any]],
        images: str,
        batch: int,
        threads: int,
        cores: list[int],
        device: str = "cpu",
        backend: str = "eager",
        precision: str = "float32",
        extra: int = 0,
        plugins: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Models from files, and standardised images [n, c, h, w] from a .npy file; says the names of all points.

        `models`: the `path` of each, the `sha256` that it has to have, and whether to `trust` it, so that the user's
        files that its networks come from are executed. Paths are as in the process that asks.
        `cores`: where the process may run from now on (none: anywhere). Processes that take turns on one core meet
        the same neighbours: unpinned, two of them differed ten times as much. `extra`: how many small matrix
        products to insert into the first block of every model, a known slowdown. `plugins`: files with
        methods of the user's.
        """
        import numpy as np
        import torch

        if cores:
            os.sched_setaffinity(0, cores)
        torch.set_num_threads(threads)
        self.threads = threads
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        for file in plugins:
            from methods import plugins as known

            known.add(Path(file))
        self.device, self.batch, self.backend, self.precision = torch.device(device), batch, backend, precision
        self.cuda = self.device if self.device.type == "cuda" else None
        inputs = torch.from_numpy(np.load(images)).to(self.device).contiguous(memory_format=torch.channels_last)
        found = [_loaded(**model) for model in models]
        whole = [chunk for chunk in torch.split(inputs, batch) if len(chunk) == batch]
        self.images = Unseen(whole, found[0].mean, found[0].std)
        self.models = [m.to(device=self.device, memory_format=torch.channels_last) for m in found]
        for model in self.models:
            if extra:
                slow_down(model, extra)
        self.calls = {}
        return {"points": [[point.name for point in model.points] for model in self.models]}

    def functions(self, file: str, names: list[str], threads: int, cores: list[int]) -> dict[str, Any]:
        """Points of model 0 without a model or images: what HOT_PATHS of a file sets up under these names.

        What the file imports of the suite is this process's version. No names: it is only imported.
        """
        import torch

        if cores:
            os.sched_setaffinity(0, cores)
        torch.set_num_threads(threads)
        self.threads = threads
        self.images, self.cuda = [None], None
        known = runpy.run_path(file)["HOT_PATHS"]
        for name in names:
            self.calls[0, json.dumps(name)] = _without_images(known[name]())
        if lent := _lent(sys.path[0]):
            raise ModuleNotFoundError(f"there is no {', '.join(lent)}")
        return {}

    def warm(self, model: int, point: str) -> dict[str, Any]:
        """Execute a point until it takes as long as before; says the seconds of a call."""
        return {"seconds": warmed(self._call(model, point), self.images, self.cuda)}

    def block(self, model: int, point: str, start: int, calls: int, number: int) -> dict[str, Any]:
        """Seconds of `calls` calls on the batches from `start` on, after one that is not timed, and which were `alone`.

        That one brings the caches back which other processes have used meanwhile. Alone are the calls during which
        nobody else had the core, as far as it can be known: of one thread on a processor. `number`: of the block in
        this process; another process sees the same images in its block of that number.
        """
        if isinstance(self.images, Unseen):
            self.images.turn_to(number)
        turns = range(start - 1, start + calls)
        images = [self.images[turn % len(self.images)] for turn in turns]
        seconds = clocked(self._call(model, point), images, self.cuda)[1:]
        known = not self.cuda and self.threads == 1
        alone = [not known or own > (1 - OTHERS) * wall for wall, own in seconds]
        return {"seconds": [wall for wall, _ in seconds], "alone": alone}

    def prepare(self, points: list[tuple[int, Point]]) -> Any:
        """Make the calls of all points ready; says of which the backend has none, by position, and why."""
        from benchmarks.backends import Unsupported

        unsupported = {}
        for position, (model, point) in enumerate(points):
            try:
                self._call(model, point)
            except Unsupported as reason:
                unsupported[position] = str(reason)
            yield position + 1, len(points)
        return {"unsupported": unsupported}

    def session(
        self, points: list[tuple[int, Point]], budget_s: float, rounds: tuple[int, int], seed: int, ours: list[int]
    ) -> Any:
        """Time all points, interleaved; `ours`: other processes that may hold the GPU. See `sampling.session`."""
        import torch

        from benchmarks.timing.sampling import session
        from benchmarks.timing.signs import Signs

        calls = [self._call(model, point) for model, point in points]
        signs = Signs(self.device, torch.get_num_threads(), ours)
        timed = yield from session(calls, self.images, self.cuda, budget_s, rounds, seed, signs)
        return timed.json()

    def peaks(self, points: list[tuple[int, Point]], batches: list[int]) -> dict[str, Any]:
        """Peak bytes of executing each point on one batch; None where the backend's memory cannot be seen."""
        from benchmarks.timing.memory import peak_bytes

        if self.backend == "onnx":
            return {"bytes": [None] * len(points)}
        draws = [partial(self.images.__getitem__, batch) for batch in batches]
        pairs = zip(points, draws, strict=True)
        return {"bytes": [peak_bytes(self._call(*point), draw, self.device) for point, draw in pairs]}

    def nodes(self) -> dict[str, Any]:
        """Seconds of every node of every model on the first batch, whole and fixed; see `causes.NodeTimes`."""
        from benchmarks.timing.causes import node_times

        return {"models": [times.json() for times in node_times(self.models, partial(self.images.__getitem__, 0))]}

    def _call(self, model: int, point: Point) -> Call:
        key = (model, json.dumps(point))
        if key not in self.calls:
            subject = self.models[model]
            if isinstance(point, str):
                chosen = {known.name: known for known in subject.points}[point]
            else:
                from methods.routers import OperatingPoint

                chosen = OperatingPoint.model_validate(point)
            if (self.backend, self.precision) == ("eager", "float32"):
                self.calls[key] = lambda images: subject.execute(images, chosen.router)
            else:
                from benchmarks.backends import prepare

                self.calls[key] = prepare(subject, chosen, self.backend, self.precision, self.images[0]).run
        return self.calls[key]


def _loaded(path: str, sha256: str, trust: bool) -> Any:
    """A stored model; ValueError where the file is not the one that was looked at."""
    from methods.storage import load

    if Path(path).is_file() and hashlib.sha256(Path(path).read_bytes()).hexdigest() != sha256:
        raise ValueError(f"{path} is not the file that was looked at: its hash differs")
    return load(Path(path), trust=trust)


def _lent(code: str) -> list[str]:
    """Modules of the suite that are not from this folder: an editable installation lends what a version lacks."""
    rooms = ("benchmarks", "methods", "reports")
    ours = [module for name, module in sys.modules.items() if name.partition(".")[0] in rooms]
    return [module.__name__ for module in ours if not str(module.__file__).startswith(code)]


def _without_images(work: Callable[[], object]) -> Call:
    return lambda _: work()


def slow_down(model: Any, repeats: int) -> None:
    """Insert `repeats` small matrix products into the first block of a model's dearest answer."""
    import torch

    original, factor = model.step, torch.full((EXTRA, EXTRA), 1 / EXTRA)
    dearest = [model.graph.nodes[node].step for node in model.graph.paths[len(model.graph.names) - 1]]
    block = next((step for step in dearest if "body" in step), dearest[0])

    def slowed(step: tuple[Any, ...], x: Any) -> Any:
        y = original(step, x)
        if step == block:
            product = factor
            for _ in range(repeats):
                product = product @ factor
        return y

    model.step = slowed


def _driven(work: Generator[Any, None, dict[str, Any]], show: Callable[[Any], None]) -> dict[str, Any]:
    """What `work` returns, every step of it shown; written here, as the suite's own may be another version's."""
    while True:
        try:
            show(next(work))
        except StopIteration as end:
            reply: dict[str, Any] = end.value
            return reply


EXTRA = 32
"""Side of the matrices of inserted work: one product takes a few microseconds."""


def main() -> None:
    """Serve requests until standard input ends.

    `fork` hands the serving to a fresh process that begins with everything imported and nothing loaded, until `end`.
    """
    sys.path[0] = sys.argv[1]
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the measured code prints must not be taken for a reply
    served = Served()
    import methods.storage  # noqa: F401  # imported before the first request is waited for

    def tell(reply: dict[str, Any]) -> None:
        print(json.dumps(reply), file=replies, flush=True)

    tell({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        do = request.pop("do")
        if do == "end":
            os._exit(0)
        if do == "fork":
            if child := os.fork():
                _, status = os.waitpid(child, 0)
                tell({"ended": True} if not status else {"error": f"a timing process broke down (status {status})"})
            else:
                tell({"ready": True})
            continue
        try:
            reply = getattr(served, do)(**request)
            if isinstance(reply, GeneratorType):
                reply = _driven(reply, lambda progress: tell({"progress": progress}))
        except Exception as error:  # the process that asked explains it
            reply = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
        tell(reply)


if __name__ == "__main__":
    main()
