"""A companion to the AlexNet chapter of *Dive into Deep Learning*.

Each net is written once, as a table of layers. From this table, `build` makes a PyTorch, MXNet,
TensorFlow or Paddle model, or a NumPy reference. `train_ch6` trains all of these on the images of
`load_fashion_mnist`. Importing this package does not import a framework.
"""

from alexnet._version import __version__
from alexnet.backends import get_weights, set_weights, try_gpu
from alexnet.backends.nets import build
from alexnet.comparison.results import Comparison
from alexnet.comparison.run import compare
from alexnet.costs.cost import Cost, cost
from alexnet.data import label_names, load_fashion_mnist, load_mnist
from alexnet.errors import (
    AlexNetError,
    BackendError,
    CheckpointError,
    DataError,
    MissingBackendError,
    RunError,
    SpecError,
    WeightsError,
)
from alexnet.insight.activations import activations
from alexnet.insight.confusion import confusion
from alexnet.insight.filters import filters
from alexnet.insight.mistakes import mistakes
from alexnet.insight.predictions import predict
from alexnet.spec import Net
from alexnet.spec.pictures import draw
from alexnet.spec.zoo import ZOO
from alexnet.sweeps.results import Sweep
from alexnet.sweeps.run import sweep
from alexnet.train import evaluate, train_ch6
from alexnet.training.checkpoint import convert, load, save
from alexnet.training.history import Epoch, History
from alexnet.training.plots import plot_by_net, plot_histories
from alexnet.views.code import show
from alexnet.views.images import show_images

__all__ = [
    "ZOO",
    "AlexNetError",
    "BackendError",
    "CheckpointError",
    "Comparison",
    "Cost",
    "DataError",
    "Epoch",
    "History",
    "MissingBackendError",
    "Net",
    "RunError",
    "SpecError",
    "Sweep",
    "WeightsError",
    "__version__",
    "activations",
    "build",
    "compare",
    "confusion",
    "convert",
    "cost",
    "draw",
    "evaluate",
    "filters",
    "get_weights",
    "label_names",
    "load",
    "load_fashion_mnist",
    "load_mnist",
    "mistakes",
    "plot_by_net",
    "plot_histories",
    "predict",
    "save",
    "set_weights",
    "show",
    "show_images",
    "sweep",
    "train_ch6",
    "try_gpu",
]
