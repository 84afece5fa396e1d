"""What every method sees of a network: a stem, blocks in stages, and a head."""

import copy
from abc import ABC, abstractmethod
from itertools import accumulate
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.backbones.adapting import run
from methods.backbones.initialisation import initialise
from methods.backbones.regularisation import Source
from methods.errors import MethodError

Step = tuple[str | int | float, ...]
Tokens = Literal["class", "mean"]
"""What stands for all tokens of an image: the first, which is the class token, or their mean."""
Kind = Literal["size", "compute"]
"""What a step is to those who attribute time: it changes the size of maps and nothing else, or it computes."""


class Backbone(nn.Module, ABC):
    """An ordinary classifier whose forward is a list of named steps that can be run one at a time.

    `work()` names the steps, `step()` executes one. Blocks are numbered from 1, stages from 0. No step writes
    into its input, so a state may be kept and used again. Sub-modules are looked up when a step runs: whoever
    replaces one in its parent (a batch norm, say) changes the network.
    """

    stages: tuple[int, ...]
    """Blocks of each stage, (1, 1, 1) for ResNet-8. Most are residual; a dense layer is one, a convolution may be."""
    classes: int
    post_activation: bool
    """Whether what a block gives has gone through its last ReLU; if not, a classifier has to activate it."""
    splits: bool = True
    """Whether post-activation blocks end addition -> ReLU: "body" (up to the addition) and "act" are two steps."""
    chains: bool = True
    """Whether the first block of a stage gives what the next stage, or the head, takes."""
    tokens: Tokens | None = None
    """What stands for an image where states are tokens [n, l, c]; None where they are maps [n, c, h, w]."""
    spec: str = ""
    """The canonical text of what was built, `resnet14:width=32`; set by `build`."""

    def __init__(self, stages: tuple[int, ...], classes: int, post_activation: bool) -> None:
        super().__init__()
        self.source = Source()
        self.stages = stages
        self.classes = classes
        self.post_activation = post_activation

    def work(self) -> tuple[Step, ...]:
        """All steps from images to logits, in order."""
        steps: list[Step] = [("stem",)]
        if self.stem_pool is not None:
            steps.append(("stem_pool",))
        for index in range(1, sum(self.stages) + 1):
            steps.append(("body", index))
            if self._has_act:
                steps.append(("act", index))
        return (*steps, ("head",))

    def step(self, step: Step, x: Tensor) -> Tensor:
        """Execute one step: images [n, 3, h, w] or a state [n, c, h, w] to the next state or the logits.

        Raises ValueError for a step that is not in `work()`.
        """
        blocks = range(1, sum(self.stages) + 1)
        match step:  # patterns without classes, in every method: torch.compile of torch 2.6 cannot trace others
            case ("stem",):
                return self._stem(x)
            case ("stem_pool",) if (pool := self.stem_pool) is not None:
                return run(pool, x)
            case ("body", index) if index in blocks:
                return self._body(int(index), x)
            case ("act", index) if self._has_act and index in blocks:
                return self._act(int(index), x)
            case ("head",):
                return self._head(x)
            case _:
                raise ValueError(f"{type(self).__name__} with {len(blocks)} blocks has no step {step!r}")

    def kind(self, step: Step) -> Kind:
        """What a step is to those who attribute time."""
        return "size" if step[0] == "stem_pool" else "compute"

    def forward(self, images: Tensor) -> Tensor:
        """images [n, 3, h, w] to logits [n, classes]."""
        x = images
        for step in self.work():
            x = self.step(step, x)
        return x

    def pooled(self, x: Tensor) -> Tensor:
        """A state, maps [n, c, h, w] or tokens [n, l, c], to one vector for each image [n, c].

        The mean over the places of maps; the class token or the mean of tokens. MethodError for anything else.
        """
        return pooled(x, self.tokens)

    @property
    def generator(self) -> torch.Generator | None:
        """What dropout and stochastic depth draw from in training, on the CPU; torch's global one while None.

        Entry blocks and heads made from this backbone draw from it too.
        """
        return self.source.generator

    @generator.setter
    def generator(self, generator: torch.Generator | None) -> None:
        self.source.generator = generator

    @property
    def title(self) -> str:
        """What to call it in a message."""
        return self.spec or type(self).__name__

    def stage_ends(self) -> tuple[int, ...]:
        """Number of the last block of each stage."""
        return tuple(accumulate(self.stages))

    def entry_block(self, stage: int) -> nn.Module:
        """A freshly initialised copy of the first block of a stage (from 0), last activation included.

        It takes what that stage takes, so a chain of them stands for the stages that remain (exits of the
        SDPoint paper, Kuen et al., CVPR 2018). Raises ValueError for a stage that does not exist, MethodError
        where blocks of a stage differ in width, so that none stands for its stage.
        """
        if not 0 <= stage < len(self.stages):
            raise ValueError(f"stage {stage} does not exist: the stages are 0 to {len(self.stages) - 1}")
        if not self.chains:
            raise MethodError(
                f"the blocks of {self.title} differ in width within a stage, so that one cannot "
                "stand for all: use another kind of head"
            )
        return self._fresh(self.block(sum(self.stages[:stage]) + 1))

    def new_head(self) -> nn.Module:
        """A freshly initialised copy of the head."""
        return self._fresh(self.head)

    @property
    def stem_pool(self) -> nn.Module | None:
        """The max pooling (no parameters) after the stem of ImageNet networks; None where there is none."""
        return None

    @property
    @abstractmethod
    def head(self) -> nn.Module:
        """All that follows the last block: state [n, c, h, w] to logits [n, classes]."""

    @abstractmethod
    def block(self, index: int) -> nn.Module:
        """The block of this number (from 1) as a module of states, its last activation included."""

    @abstractmethod
    def _stem(self, images: Tensor) -> Tensor: ...

    @abstractmethod
    def _body(self, index: int, x: Tensor) -> Tensor: ...

    def _act(self, index: int, x: Tensor) -> Tensor:
        return x.relu()

    @abstractmethod
    def _head(self, x: Tensor) -> Tensor: ...

    @property
    def _has_act(self) -> bool:
        return self.post_activation and self.splits

    def _fresh(self, module: nn.Module) -> nn.Module:
        module = copy.deepcopy(module, {id(self.source): self.source})
        initialise(module)
        return module


class Pooling(nn.Module):
    """`Backbone.pooled` as a layer; `tokens` as there."""

    def __init__(self, tokens: Tokens | None) -> None:
        super().__init__()
        self.tokens = tokens

    def forward(self, x: Tensor) -> Tensor:
        """Maps [n, c, h, w] or tokens [n, l, c] to [n, c]."""
        return pooled(x, self.tokens)


def pooled(x: Tensor, tokens: Tokens | None) -> Tensor:
    """Maps [n, c, h, w] or tokens [n, l, c] to [n, c]; MethodError for any other state."""
    if x.dim() == 4:
        return F.adaptive_avg_pool2d(x, 1).flatten(1)
    if x.dim() == 3 and tokens is not None:
        return x[:, 0] if tokens == "class" else x.mean(1)
    expected = "maps [n, c, h, w]" if tokens is None else "maps [n, c, h, w] or tokens [n, l, c]"
    raise MethodError(f"a state {list(x.shape)} cannot be pooled: expected {expected}")


class Head(nn.Module):
    """[BN, ReLU,] average pooling and a linear classifier; BN and ReLU where blocks end without them."""

    def __init__(self, pool: nn.Module, classifier: nn.Linear, norm: nn.BatchNorm2d | None = None) -> None:
        super().__init__()
        self.norm = norm
        self.pool = pool
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """State [n, c, h, w] to logits [n, classes]."""
        if self.norm is not None:
            x = self.norm(x).relu()
        return cast(Tensor, self.classifier(self.pool(x).flatten(1)))
