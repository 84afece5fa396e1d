"""Batch normalisation with statistics for every variant of a network."""

import copy
from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.errors import MethodError


class Selector:
    """Shared by all batch norms of a model: which variant is running, and whether it is being measured.

    `variant` None means outside of any variant: the running statistics of training.
    """

    def __init__(self) -> None:
        self.variant: str | None = None
        self.collecting = False


class VariantBatchNorm2d(nn.BatchNorm2d):
    """A BatchNorm2d that keeps a mean and a variance per variant beside the running ones.

    Parameters are shared by all variants (instance-specific statistics, SDPoint section 3.3). In
    training mode it is an ordinary BatchNorm2d. An unknown variant raises, it never falls back.
    """

    def __init__(self, source: nn.BatchNorm2d, selector: Selector) -> None:
        if not source.track_running_stats:
            raise MethodError(
                "a batch norm without running statistics makes what an image is taken for depend on the images beside "
                "it: make it with track_running_stats=True"
            )
        super().__init__(source.num_features, source.eps, source.momentum, affine=source.affine)
        self.weight, self.bias = source.weight, source.bias
        self.running_mean, self.running_var = source.running_mean, source.running_var
        self.num_batches_tracked = source.num_batches_tracked
        self.train(source.training)
        self.selector = selector
        self.statistics: dict[str, tuple[Tensor, Tensor]] = {}
        self._sums: dict[str, tuple[Tensor, Tensor, int]] = {}

    def forward(self, x: Tensor) -> Tensor:
        variant = self.selector.variant
        if self.training or variant is None:
            return super().forward(x)
        if self.selector.collecting:
            return self._collect(variant, x)
        if variant not in self.statistics:
            raise MethodError(f"no batch-norm statistics for '{variant}': collect them first")
        mean, var = self.statistics[variant]
        return F.batch_norm(x, mean, var, self.weight, self.bias, False, 0.0, self.eps)

    def _collect(self, variant: str, x: Tensor) -> Tensor:
        """Normalise with the batch's own statistics and add them to the variant's sums.

        Batches weigh as many images as they hold, and sums are in double precision, so the result
        does not depend on their order.
        """
        if x.numel() == x.shape[1]:
            raise MethodError(
                "batch norm cannot normalise one value per channel: give at least two images to collect statistics from"
            )
        mean, var = torch.zeros_like(self.running_mean), torch.ones_like(self.running_var)  # type: ignore[arg-type]
        y = F.batch_norm(x, mean, var, self.weight, self.bias, True, 1.0, self.eps)
        images = len(x)
        sum_mean, sum_var, count = self._sums.get(variant, (0.0, 0.0, 0))
        self._sums[variant] = (
            sum_mean + mean.double() * images,
            sum_var + var.double() * images,
            count + images,
        )
        return y

    def start_collecting(self) -> None:
        """Forget the sums of a collection that was interrupted."""
        self._sums = {}

    @property
    def collected(self) -> frozenset[str]:
        """The variants that were measured since collecting started."""
        return frozenset(self._sums)

    def finish_collecting(self) -> None:
        """Turn the sums of all batches into statistics; those of an earlier collection are gone."""
        self.statistics = {
            variant: ((mean / count).float(), (var / count).float())
            for variant, (mean, var, count) in self._sums.items()
        }
        self._sums = {}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self.statistics = {k: (fn(mean), fn(var)) for k, (mean, var) in self.statistics.items()}
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]


class PrivateBatchNorm2d(nn.Module):
    """A batch norm of its own for every variant: parameters and statistics (RS-Net, ECCV 2020; DRNet, section
    3.3). In training, too, a variant changes only its own. An unknown variant raises, it never falls back.
    """

    def __init__(self, source: nn.BatchNorm2d, variants: Collection[str], selector: Selector) -> None:
        super().__init__()
        self.norms = nn.ModuleDict({variant: copy.deepcopy(source) for variant in variants})
        self.selector = selector

    def forward(self, x: Tensor) -> Tensor:
        variant = self.selector.variant
        if variant is None or variant not in self.norms:
            raise MethodError(f"there is no private batch norm for '{variant}'")
        return cast(Tensor, self.norms[variant](x))


def privatise(module: nn.Module, variants: Collection[str], selector: Selector) -> None:
    """Give every BatchNorm2d below `module`, those of shortcuts included, a copy for each variant."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, PrivateBatchNorm2d(child, variants, selector))


def convert(module: nn.Module, selector: Selector) -> None:
    """Replace every BatchNorm2d below `module` by one with variants; weights and names stay.

    Doing it again changes nothing. Modules that set `keeps_statistics` are left alone with all below them.
    """
    for name, child in list(module.named_children()):
        if type(child) is nn.BatchNorm2d:
            setattr(module, name, VariantBatchNorm2d(child, selector))
        elif not getattr(child, "keeps_statistics", False):
            convert(child, selector)


def variant_norms(module: nn.Module) -> dict[str, VariantBatchNorm2d]:
    """The converted batch norms below `module`, by name."""
    return {n: m for n, m in module.named_modules() if isinstance(m, VariantBatchNorm2d)}


STATISTICS = "statistics/"
"""What the names of stored statistics begin with: `statistics/<norm>/<variant>/mean` or `/var`."""


def statistics_tensors(module: nn.Module) -> dict[str, Tensor]:
    """The statistics of every variant of every converted batch norm below `module`, by name."""
    return {
        f"{STATISTICS}{name}/{variant}/{what}": value
        for name, norm in variant_norms(module).items()
        for variant, (mean, var) in norm.statistics.items()
        for what, value in (("mean", mean), ("var", var))
    }


def load_statistics(module: nn.Module, stored: Mapping[str, Tensor], variants: Collection[str]) -> None:
    """Take over what `statistics_tensors` gave; MethodError where it belongs to another network or variants."""
    norms = variant_norms(module)
    for key in stored:
        _, name, variant, what = (*key.split("/"), "", "", "")[:4]
        if name not in norms or variant not in variants or what not in ("mean", "var"):
            raise MethodError(f"the stored model has statistics for '{variant}', which this one does not know")
        mean, var = (stored.get(f"{STATISTICS}{name}/{variant}/{part}") for part in ("mean", "var"))
        if mean is None or var is None or not mean.shape == var.shape == (norms[name].num_features,):
            raise MethodError(f"the stored model's statistics for '{variant}' are incomplete or misshapen")
        norms[name].statistics[variant] = (mean.clone(), var.clone())
