"""Batch normalisation with statistics for every variant of a network."""

import copy
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.lazy import LazyModuleMixin

from methods.errors import MethodError

BatchNorm = _BatchNorm
"""What all batch norms of torch are, and those of users that are made from them."""
BUFFERS = {"running_mean", "running_var", "num_batches_tracked"}
"""The buffers of torch's batch norms."""
NO_VARIANCE = -1.0
"""What no variance is: where it is left, none was measured."""


class Selector:
    """Shared by all batch norms of a model: which variant is running, and whether it is being measured.

    `variant` None means outside of any variant: the running statistics of training.
    """

    def __init__(self) -> None:
        self.variant: str | None = None
        self.collecting = False


class VariantBatchNorm(BatchNorm):
    """A batch norm that keeps a mean and a variance per variant beside the running ones.

    Parameters are shared by all variants (instance-specific statistics, SDPoint section 3.3). In
    training mode it is what it was made from. An unknown variant raises, it never falls back.
    `variant_class` gives the classes of those that exist.
    """

    kind: ClassVar[type[BatchNorm]]
    """What it was made from."""
    computes_as_torch: ClassVar[bool]
    """Whether its forward is torch's."""
    selector: Selector
    statistics: dict[str, tuple[Tensor, Tensor]]
    _sums: dict[str, tuple[Tensor, Tensor, int]]

    def forward(self, x: Tensor) -> Tensor:
        variant = self.selector.variant
        if self.training or variant is None:
            return super().forward(x)
        if self.selector.collecting:
            return self._collect(variant, x)
        if variant not in self.statistics:
            raise MethodError(f"no batch-norm statistics for '{variant}': collect them first")
        mean, var = self.statistics[variant]
        if self.computes_as_torch:  # the same as below, without the time that Python takes for it
            return F.batch_norm(x, mean, var, self.weight, self.bias, False, 0.0, self.eps)
        return self._with(x, _buffers=self._buffers | {"running_mean": mean, "running_var": var})

    def _with(self, x: Tensor, **attributes: Any) -> Tensor:
        """Compute as the class does that it was made from, while these attributes are others."""
        own = {name: self.__dict__[name] for name in attributes}
        self.__dict__.update(attributes)
        try:
            return super().forward(x)
        finally:
            self.__dict__.update(own)

    def _collect(self, variant: str, x: Tensor) -> Tensor:
        """Normalise with the batch's own statistics and add them to the variant's sums.

        Batches weigh as many images as they hold, and sums are in double precision, so the result
        does not depend on their order. MethodError where the batch's statistics cannot be had.
        """
        if x.numel() == self.num_features:
            raise MethodError(
                "batch norm cannot normalise one value per channel: give at least two images to collect statistics from"
            )
        measured = {name: None if buffer is None else buffer.clone() for name, buffer in self._buffers.items()}
        measured["running_var"] = torch.full_like(cast(Tensor, self.running_var), NO_VARIANCE)
        y = self._with(x, _buffers=measured, training=True, momentum=1.0)  # all of this batch, nothing of before
        mean, var = cast(Tensor, measured["running_mean"]), cast(Tensor, measured["running_var"])
        if bool((var < 0).any()):
            raise MethodError(
                f"{self.kind.__name__} does not bring running_var up to date in training mode, so no statistics of a "
                "variant can be measured: let its `forward` do so, as torch's does"
            )
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

    def settled(self, variant: str) -> BatchNorm:
        """Give a copy of the class that it was made from, whose running statistics are those of `variant`."""
        plain = copy.deepcopy(self)
        mean, var = plain.statistics[variant]
        del plain.selector, plain.statistics, plain._sums
        plain.__class__ = self.kind  # type: ignore[assignment]
        plain.running_mean, plain.running_var = mean, var
        return plain

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self.statistics = {k: (fn(mean), fn(var)) for k, (mean, var) in self.statistics.items()}
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Name the class that it was made from: the own one has no name that a pickle could import."""
        return _unfilled, (self.kind,), self.__getstate__()  # type: ignore[no-untyped-call]


def _unfilled(kind: type[BatchNorm]) -> VariantBatchNorm:
    made = variant_class(kind)
    return made.__new__(made)


def variant_class(kind: type[BatchNorm]) -> type[VariantBatchNorm]:
    """The class of batch norms like `kind` that have statistics per variant; one for each kind."""
    if kind not in _classes:
        body = {"kind": kind, "computes_as_torch": _computes_as_torch(kind), "__module__": __name__}
        name = f"Variant{kind.__name__}"
        _classes[kind] = types.new_class(name, (VariantBatchNorm, kind), exec_body=lambda space: space.update(body))
    return _classes[kind]


_classes: dict[type[BatchNorm], type[VariantBatchNorm]] = {}


def _computes_as_torch(kind: type[BatchNorm]) -> bool:
    return kind.forward in (BatchNorm.forward, nn.SyncBatchNorm.forward)


class PrivateBatchNorm(nn.Module):
    """A batch norm of its own for every variant: parameters and statistics (RS-Net, ECCV 2020; DRNet, section
    3.3). In training, too, a variant changes only its own. An unknown variant raises, it never falls back.
    """

    def __init__(self, source: BatchNorm, variants: Collection[str], selector: Selector) -> None:
        super().__init__()
        self.norms = nn.ModuleDict({variant: copy.deepcopy(source) for variant in variants})
        self.selector = selector

    def forward(self, x: Tensor) -> Tensor:
        variant = self.selector.variant
        if variant is None or variant not in self.norms:
            raise MethodError(f"there is no private batch norm for '{variant}'")
        return cast(Tensor, self.norms[variant](x))


def privatise(module: nn.Module, variants: Collection[str], selector: Selector) -> None:
    """Give every batch norm below `module`, those of shortcuts included, a copy for each variant.

    One that stands in several places remains one. MethodError names norms that cannot have statistics per variant.
    """
    private = {norm: PrivateBatchNorm(norm, variants, selector) for norm in batch_norms(module)}
    for parent in list(module.modules()):
        for name, child in list(parent._modules.items()):
            if child in private:
                setattr(parent, name, private[child])


def convert(module: nn.Module, selector: Selector) -> None:
    """Give every batch norm below `module` statistics per variant; it stays the same object, names and hooks too.

    Doing it again changes nothing. Modules that set `keeps_statistics` are left alone with all below them. MethodError
    names what cannot have statistics per variant, and then all is as it was.
    """
    for norm in batch_norms(module):
        if not isinstance(norm, VariantBatchNorm):
            norm.__class__ = variant_class(type(norm))
            made = cast(VariantBatchNorm, norm)
            made.selector, made.statistics, made._sums = selector, {}, {}


def batch_norms(module: nn.Module) -> list[BatchNorm]:
    """The batch norms below `module` that can have statistics per variant, each once, whatever its kind.

    Those of modules that set `keeps_statistics` are left out. MethodError names others with running statistics.
    """
    found: dict[BatchNorm, str] = {}
    for name, below in _open(module):
        if isinstance(below, BatchNorm):
            _check(name, below)
            found.setdefault(below, name)
        elif isinstance(getattr(below, "running_mean", None), Tensor):
            raise MethodError(
                f"{type(below).__name__} '{name}' has running statistics, which cannot be had per variant: make it "
                "without (track_running_stats=False) or take a batch norm"
            )
    return list(found)


def _open(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """All modules below `module`, by name, without those that keep their statistics and what is below them."""
    for name, child in module.named_children():
        if not getattr(child, "keeps_statistics", False):
            yield prefix + name, child
            yield from _open(child, f"{prefix}{name}.")


def _check(name: str, norm: BatchNorm) -> None:
    """Raise a MethodError where a batch norm cannot have statistics per variant."""
    kind = type(norm)
    if not norm.track_running_stats:
        raise MethodError(
            "a batch norm without running statistics makes what an image is taken for depend on the images beside "
            "it: make it with track_running_stats=True"
        )
    if isinstance(norm, LazyModuleMixin) and hasattr(norm, "_initialize_hook"):
        raise MethodError(f"{kind.__name__} '{name}' never ran: run the network once where it is made")
    extra = sorted(norm._buffers.keys() - BUFFERS)
    if extra and not _computes_as_torch(kind):
        raise MethodError(
            f"{kind.__name__} '{name}' has a forward and buffers of its own ({', '.join(extra)}), which cannot be had "
            "per variant: leave these buffers out, or take a batch norm of torch's"
        )


def variant_norms(module: nn.Module) -> dict[str, VariantBatchNorm]:
    """The converted batch norms below `module`, by name."""
    return {n: m for n, m in module.named_modules() if isinstance(m, VariantBatchNorm)}


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
