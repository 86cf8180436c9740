"""MXNet: ``mxnet.gluon.nn.HybridSequential`` with the NumPy interface (``mxnet.np``)."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy
from mxnet import autograd, gluon, npx
from mxnet import np as mnp
from mxnet.gluon import nn

from alexnet import spec
from alexnet.backends.dropout_masks import Masks
from alexnet.datasets.resize import ImageTransform
from alexnet.spec import ResolvedNet, Shape
from alexnet.spec.weights import Weights

npx.set_np()


def version() -> str:
    return mx.__version__


# --- device ---------------------------------------------------------------------------------------


def gpus() -> list[mx.Context]:
    return [mx.gpu(i) for i in range(mx.context.num_gpus())]


def gpu_build() -> str | None:
    return "CUDA" if mx.runtime.Features().is_enabled("CUDA") else None


def cpu() -> mx.Context:
    return mx.cpu()


def home() -> mx.Context:
    return cpu()


def synchronize(device: mx.Context) -> None:
    mx.nd.waitall()


def peak_gpu_memory(device: mx.Context) -> int | None:
    """What is in use now: MXNet keeps no peak, but its pool does not give memory back."""
    if device.device_type != "gpu":
        return None
    free, total = mx.context.gpu_memory_info(device.device_id)
    return total - free


# --- model ----------------------------------------------------------------------------------------


class LocalResponseNorm(gluon.HybridBlock):
    """Gluon has no such layer; the operator behind it divides alpha by size."""

    def __init__(self, size: int, alpha: float, beta: float, k: float) -> None:
        super().__init__()
        self._settings: dict[str, Any] = {
            "nsize": size,
            "alpha": alpha * size,
            "beta": beta,
            "knorm": k,
        }

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        if F is mx.nd and x.dtype == numpy.float64:  # which the operator does not take
            return self._in_double_precision(x)
        if F is mx.nd:
            return F.LRN(x.as_nd_ndarray(), **self._settings).as_np_ndarray()
        return F.LRN(x.as_nd_sym(), **self._settings)[0].as_np_sym()

    def _in_double_precision(self, x: mnp.ndarray) -> mnp.ndarray:
        s, channels = self._settings, x.shape[1]
        half = s["nsize"] // 2
        squares = mnp.pad(x * x, ((0, 0), (half, half), (0, 0), (0, 0)))
        total = sum(squares[:, i : i + channels] for i in range(s["nsize"]))
        return x * (s["knorm"] + s["alpha"] / s["nsize"] * total) ** -s["beta"]


class MaskedDropout(gluon.Block):
    """Dropout by `alexnet.backends.dropout_masks`."""

    def __init__(self, index: int, rate: float, masks: Masks) -> None:
        super().__init__()
        self.index, self.rate, self.masks = index, rate, masks

    def forward(self, x: mnp.ndarray) -> mnp.ndarray:
        if not autograd.is_training():
            return x
        return x * put(self.masks.draw(self.index, self.rate, x.shape), x.ctx).astype(x.dtype)


def _block(layer: spec.Layer, shape: Shape) -> nn.HybridBlock:
    match layer:
        case spec.Conv(out, kernel, stride, padding, groups):
            return nn.Conv2D(out, kernel, stride, padding, groups=groups, in_channels=shape[0])
        case spec.MaxPool(kernel, _, padding):
            return nn.MaxPool2D(kernel, layer.step, padding)
        case spec.AvgPool(kernel, _, padding):
            return nn.AvgPool2D(kernel, layer.step, padding)
        case spec.GlobalAvgPool():
            return nn.GlobalAvgPool2D()
        case spec.Dense(out):
            return nn.Dense(out, in_units=shape[0])
        case spec.ReLU():
            return nn.Activation("relu")
        case spec.Sigmoid():
            return nn.Activation("sigmoid")
        case spec.Tanh():
            return nn.Activation("tanh")
        case spec.Flatten():
            return nn.Flatten()
        case spec.Dropout(rate):
            return nn.Dropout(rate)
        case spec.LocalResponseNorm(size, alpha, beta, k):
            return LocalResponseNorm(size, alpha, beta, k)
        case spec.BatchNorm(momentum, epsilon):
            return nn.BatchNorm(momentum=1 - momentum, epsilon=epsilon, in_channels=shape[0])
    raise TypeError(f"no rendering for {layer!r}")


def render(
    net: ResolvedNet, device: mx.Context, dtype: str = "float32", masks: Masks | None = None
) -> nn.HybridSequential:
    model = nn.HybridSequential() if masks is None else nn.Sequential()
    for index, row in enumerate(net.rows):
        if masks is not None and isinstance(row.layer, spec.Dropout):
            model.add(MaskedDropout(index, row.layer.rate, masks))
        else:
            model.add(_block(row.layer, row.input_shape))
    model.initialize(ctx=device)
    model.cast(dtype)  # after it: MXNet draws float32 only
    return model


def place(net: gluon.Block, device: mx.Context) -> mx.Context:
    params = net.collect_params()
    for param in params.values():
        if param._data is None and not param._deferred_init:  # net.initialize() was not called
            param.initialize(ctx=device)
    params.reset_ctx(device)
    return device


def device_of(net: gluon.Block) -> mx.Context:
    return next((p.list_ctx()[0] for p in net.collect_params().values()), cpu())


def _params(net: gluon.Block) -> dict[str, gluon.Parameter]:
    """The parameters by their place in the net, a norm's gamma and beta under the neutral names.

    Those of Gluon's own norms are vectors; a reader's may have other shapes, and keep their names.
    """
    params = net._collect_params_with_prefix()  # what save_parameters calls: "0.weight", …
    rename = {"gamma": "weight", "beta": "bias"}
    named = {}
    for key, param in params.items():
        head, dot, tail = key.rpartition(".")
        vector = param.shape is None or len(param.shape) == 1
        named[f"{head}{dot}{rename.get(tail, tail) if vector else tail}"] = param
    return named


def get_weights(net: gluon.Block) -> Weights:
    return {key: param.data().asnumpy() for key, param in _params(net).items()}


def set_weights(net: gluon.Block, weights: Weights) -> None:
    for key, param in _params(net).items():
        param.set_data(mnp.array(weights[key]))


SUFFIX = ".params"


def export(net: gluon.Block, path: str) -> None:
    """What ``net.load_parameters`` reads."""
    net.save_parameters(path)
    mx.nd.load(path)  # it does not tell that the disk is full, but then this does


def seed(net: gluon.Block, number: int) -> None:
    mx.random.seed(number)


# --- batches --------------------------------------------------------------------------------------


def put(array: Any, device: mx.Context) -> mnp.ndarray:
    if isinstance(array, mnp.ndarray):
        return array.as_in_ctx(device)
    return mnp.array(array, dtype=array.dtype, ctx=device)


def images(pixels: numpy.ndarray, transform: ImageTransform, device: mx.Context) -> mnp.ndarray:
    x = put(pixels, device).astype("float32") / 255  # (B, 28, 28)
    if transform.matrix is not None:
        matrix = put(transform.matrix, device)
        x = mnp.matmul(mnp.matmul(matrix, x), matrix.T)  # (B, S, S)
    return mnp.expand_dims((x - transform.mean) / transform.std, 1)  # (B, 1, S, S)


def to_numpy(tensor: mnp.ndarray) -> numpy.ndarray:
    return tensor.asnumpy()


# --- training -------------------------------------------------------------------------------------


class Trainer:
    def __init__(self, net: gluon.Block, lr: float, momentum: float) -> None:
        self.net, self.momentum = net, momentum
        self.velocity_scale = -lr  # MXNet keeps by how much the weights moved
        self.loss = gluon.loss.SoftmaxCrossEntropyLoss()
        settings = {"learning_rate": lr, "momentum": momentum}
        self.optimizer = gluon.Trainer(net.collect_params(), "sgd", settings)

    def step(self, X: mnp.ndarray, y: mnp.ndarray) -> tuple[mnp.ndarray, mnp.ndarray]:
        with autograd.record():
            logits = self.net(X)  # (B, classes)
            losses = self.loss(logits, y)  # (B,)
        losses.backward()
        self.optimizer.step(len(y))  # divides the summed gradients by the batch
        return losses.sum(), (logits.argmax(axis=1).astype(y.dtype) == y).sum()

    def get_velocity(self) -> Weights:
        return {key: state.asnumpy() for key, state in self._states().items()}

    def set_velocity(self, velocity: Weights) -> None:
        for key, state in self._states().items():
            state[:] = velocity[key]

    def _states(self) -> dict[str, mx.nd.NDArray]:
        """The optimizer's own arrays, made now where the first step would have made them."""
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


def gradients(net: gluon.Block, X: mnp.ndarray, y: mnp.ndarray) -> tuple[float, Weights]:
    with autograd.record():
        loss = gluon.loss.SoftmaxCrossEntropyLoss()(net(X), y).mean()
    loss.backward()
    learned = {key: p for key, p in _params(net).items() if p.grad_req != "null"}
    return float(loss), {key: p.grad().asnumpy() for key, p in learned.items()}


def predict(net: gluon.Block, X: mnp.ndarray) -> mnp.ndarray:
    return net(X)
