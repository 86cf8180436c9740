"""The MXNet backend: nets are ``mxnet.gluon.nn.HybridSequential`` with MXNet's NumPy interface.

`alexnet.backends.interface` documents each function.
Layers: https://mxnet.apache.org/api/python/docs/api/gluon/nn/index.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import mxnet as mx
import numpy
from mxnet import autograd, gluon, npx
from mxnet import np as mnp
from mxnet.gluon import nn

from alexnet.backends.calls import Call
from alexnet.backends.registry import mxnet as registry
from alexnet.datasets.resize import ImageTransform
from alexnet.spec import ResolvedNet
from alexnet.spec.weights import Weights

ENTRY = registry.ENTRY

npx.set_np()

COMPILED = {"static_alloc": True, "static_shape": True}  # hybridize: reuse the graph's memory

LOSS = gluon.loss.SoftmaxCrossEntropyLoss()
LOSS.hybridize()


def version() -> str:
    return mx.__version__


# --- device ---------------------------------------------------------------------------------------


def gpus() -> list[mx.Context]:
    """Return the CUDA GPUs."""
    return [mx.gpu(i) for i in range(mx.context.num_gpus())]


def gpu_build() -> str | None:
    return "CUDA" if mx.runtime.Features().is_enabled("CUDA") else None


def cpu() -> mx.Context:
    return mx.cpu()


def default_device() -> mx.Context:
    return cpu()


def synchronize(device: mx.Context) -> None:
    mx.nd.waitall()


def precisions(device: mx.Context) -> tuple[str, ...]:
    return ()  # MXNet's mixed precision does not convert the operators of its NumPy interface


def peak_gpu_memory(device: mx.Context) -> int | None:
    """Return the memory in use now. MXNet records no peak, but its pool never returns memory."""
    if device.device_type != "gpu":
        return None
    free, total = mx.context.gpu_memory_info(device.device_id)
    return total - free


# --- model ----------------------------------------------------------------------------------------


class LocalResponseNorm(nn.HybridBlock):
    """Local response normalisation: Krizhevsky et al. (2012), section 3.3.

    MXNet's operator divides alpha by nsize.
    """

    def __init__(self, nsize: int, alpha: float, beta: float, knorm: float) -> None:
        super().__init__()
        self.nsize, self.alpha, self.beta, self.knorm = nsize, alpha, beta, knorm

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # (B, C, H, W)
        settings = {"nsize": self.nsize, "alpha": self.alpha}
        settings |= {"beta": self.beta, "knorm": self.knorm}
        if F is mx.nd and x.dtype == mnp.float64:  # not supported by F.LRN
            return self.in_double_precision(x)
        return F.LRN(x.as_nd_ndarray(), **settings).as_np_ndarray()

    def in_double_precision(self, x: Any) -> Any:
        half, channels = self.nsize // 2, x.shape[1]
        squares = mnp.pad(x * x, ((0, 0), (half, half), (0, 0), (0, 0)))
        total = sum(squares[:, i : i + channels] for i in range(self.nsize))  # like x
        return x * (self.knorm + self.alpha / self.nsize * total) ** -self.beta


class MaskedSequential(nn.HybridBlock):
    """The layers of a net. Dropout multiplies by a mask set before the step.

    The masks are inputs of the compiled graph, so it does not change from step to step
    (`alexnet.backends.dropout_masks`).
    """

    def __init__(self, net: nn.HybridSequential) -> None:
        super().__init__()
        self.dtype = next(iter(net.collect_params().values())).dtype
        self.masks: dict[int, mnp.ndarray | None] = {}  # uint8, shape of the input: 0 or 1
        for index, layer in enumerate(net):
            self.register_child(layer, str(index))
            if isinstance(layer, nn.Dropout):
                self.masks[index] = None

    def __call__(self, x: mnp.ndarray) -> mnp.ndarray:
        return super().__call__(x, *self.masks.values())

    def hybrid_forward(self, F: Any, x: Any, *masks: Any) -> Any:
        mask = iter(masks)
        for layer in self._children.values():
            if isinstance(layer, nn.Dropout):
                x = x * (next(mask).astype(self.dtype) * (1 / (1 - layer._rate)))
            else:
                x = layer(x)
        return x


def render(
    net: ResolvedNet, calls: Iterable[Call], device: mx.Context, dtype: str
) -> nn.HybridSequential:
    model = nn.HybridSequential()
    model.add(*(call.evaluate(globals()) for call in calls))
    model.initialize(ctx=device)
    model(mnp.zeros((1, *net.input_shape), ctx=device))  # Gluon infers shapes and allocates arrays
    model.cast(dtype)  # must come last: MXNet draws initial weights only in float32
    if dtype == "float32":  # the compiled LRN does not support float64
        model.hybridize(**COMPILED)
    return model


def with_masks(net: nn.HybridSequential) -> MaskedSequential:
    masked = MaskedSequential(net)
    if net._active:
        masked.hybridize(**COMPILED)
    return masked


def computing_in(net: gluon.Block, precision: str) -> AbstractContextManager[None]:
    return nullcontext()


def to_device(net: gluon.Block, device: mx.Context) -> mx.Context:
    params = net.collect_params()
    for param in params.values():
        if param._data is None and not param._deferred_init:  # the user has not called initialize
            param.initialize(ctx=device)
    params.reset_ctx(device)
    return device


def device_of(net: gluon.Block) -> mx.Context:
    return next((p.list_ctx()[0] for p in net.collect_params().values()), cpu())


def _params(net: gluon.Block) -> dict[str, gluon.Parameter]:
    """Return each parameter of a net by its neutral key.

    Gluon's normalisation layers have vectors gamma and beta; these become weight and bias. A gamma or
    beta of another shape belongs to a user's own layer and keeps its name.
    """
    params = net._collect_params_with_prefix()  # the names that save_parameters uses: "0.weight", …
    rename = {"gamma": "weight", "beta": "bias"}
    named = {}
    for key, param in params.items():
        head, dot, tail = key.rpartition(".")
        is_vector = param.shape is None or len(param.shape) == 1
        named[f"{head}{dot}{rename.get(tail, tail) if is_vector else tail}"] = param
    return named


def get_weights(net: gluon.Block) -> Weights:
    return {key: param.data().asnumpy() for key, param in _params(net).items()}


def set_weights(net: gluon.Block, weights: Weights) -> None:
    for key, param in _params(net).items():
        param.set_data(mnp.array(weights[key]))


SUFFIX = ".params"


def export(net: gluon.Block, path: str) -> None:
    """Write a file that ``net.load_parameters`` reads."""
    net.save_parameters(path)
    mx.nd.load(path)  # save_parameters does not report a full disk; this load then raises


def seed(net: gluon.Block, number: int) -> None:
    mx.random.seed(number)


def set_mask(net: MaskedSequential, index: int, mask: numpy.ndarray) -> None:
    net.masks[index] = to_tensor(mask, device_of(net))


# --- batches --------------------------------------------------------------------------------------


def to_tensor(array: Any, device: mx.Context) -> mnp.ndarray:
    if isinstance(array, mnp.ndarray):
        return array.as_in_ctx(device)
    return mnp.array(array, dtype=array.dtype, ctx=device)


def take(tensor: mnp.ndarray, indices: mnp.ndarray) -> mnp.ndarray:
    return mnp.take(tensor, indices, axis=0)


def images(pixels: Any, transform: ImageTransform, device: mx.Context) -> mnp.ndarray:
    x = to_tensor(pixels, device).astype("float32")  # (B, H, W)
    x = transform.apply(x, partial(to_tensor, device=device))  # (B, S, S)
    return mnp.expand_dims(x, 1)  # (B, 1, S, S)


def to_numpy(tensor: mnp.ndarray) -> numpy.ndarray:
    return tensor.asnumpy()


def read(scalars: Sequence[mnp.ndarray]) -> list[float]:
    return mnp.stack(list(scalars)).asnumpy().tolist()


# --- training -------------------------------------------------------------------------------------


class Trainer:
    """SGD with momentum on the mean softmax cross-entropy: v = momentum * v - lr * grad; w += v.

    Nesterov: w += momentum * v - lr * grad.
    """

    def __init__(
        self, net: gluon.Block, lr: float, momentum: float, nesterov: bool = False
    ) -> None:
        self.net, self.lr, self.momentum, self.nesterov = net, lr, momentum, nesterov
        self.velocity_scale = -lr  # MXNet's momentum buffer holds the last change of the weights
        settings = {"learning_rate": lr, "momentum": momentum}
        self.optimizer = gluon.Trainer(net.collect_params(), "nag" if nesterov else "sgd", settings)

    def step(self, X: mnp.ndarray, y: mnp.ndarray) -> tuple[mnp.ndarray, mnp.ndarray]:
        logits, losses = backward(self.net, X, y)
        self.update(len(y))
        return losses.sum(), (logits.argmax(axis=1).astype(y.dtype) == y).sum()

    def update(self, examples: int) -> None:
        """Update the weights from gradients that are sums over so many examples."""
        # The buffer holds the learning rate of the last step.
        rescale = -self.lr / self.velocity_scale
        if not self.nesterov:
            self.optimizer.optimizer.momentum = self.momentum * rescale
        elif rescale != 1:  # Nesterov's step also has the momentum outside the buffer
            for state in self._states().values():
                state *= rescale
        self.optimizer.step(examples)  # divides the summed gradients by the batch size
        self.velocity_scale = -self.lr

    def set_lr(self, lr: float) -> None:
        self.lr = lr
        self.optimizer.set_learning_rate(lr)

    def get_velocity(self) -> Weights:
        return {key: state.asnumpy() for key, state in self._states().items()}

    def set_velocity(self, velocity: Weights) -> None:
        for key, state in self._states().items():
            state[:] = velocity[key]

    def _states(self) -> dict[str, mx.nd.NDArray]:
        """Return the momentum buffers by neutral key. Without momentum, return {}.

        Allocate missing buffers now; otherwise the first step would allocate them.
        """
        if not self.momentum:
            return {}
        updater, states = self.optimizer._updaters[0], {}
        for key, param in _params(self.net).items():
            if param.grad_req != "null":
                index = self.optimizer._param2idx[param.name]
                if index not in updater.states:
                    create = self.optimizer.optimizer.create_state_multi_precision
                    updater.states[index] = create(index, param.data())
                    updater.states_synced[index] = True
                states[key] = updater.states[index]
        return states


def backward(
    net: gluon.Block, X: mnp.ndarray, y: mnp.ndarray, scale: float = 1.0
) -> tuple[mnp.ndarray, mnp.ndarray]:
    """Run a mini-batch forward and backward in training mode; fill every ``grad`` with the sum over it.

    Return the logits (B, classes) and the losses (B,). ``scale`` multiplies the gradients.
    """
    with autograd.record():
        logits = net(X)  # (B, classes)
        losses = LOSS(logits, y)  # (B,)
        scaled = losses if scale == 1 else losses * scale
    scaled.backward()
    return logits, losses


class Passes:
    """The forward and the backward pass of a net in training mode, without a loss."""

    def __init__(self, net: gluon.Block, input_gradient: bool) -> None:
        self.net, self.input_gradient = net, input_gradient

    def forward(self, X: mnp.ndarray) -> mnp.ndarray:
        self.X = X.detach()
        if self.input_gradient:
            self.X.attach_grad()
        with autograd.record():
            self.y = self.net(self.X)
        return self.y.detach()

    def backward(self, dy: mnp.ndarray) -> list[mnp.ndarray]:
        self.y.backward(dy)
        learned = [p.grad() for p in _params(self.net).values() if p.grad_req != "null"]
        return [self.X.grad, *learned] if self.input_gradient else learned


def gradients(net: gluon.Block, X: mnp.ndarray, y: mnp.ndarray) -> tuple[float, Weights]:
    _, losses = backward(net, X, y)
    learned = {key: p for key, p in _params(net).items() if p.grad_req != "null"}
    return float(losses.mean()), {k: p.grad().asnumpy() / len(y) for k, p in learned.items()}


def predict(net: gluon.Block, X: mnp.ndarray) -> mnp.ndarray:
    return net(X)
