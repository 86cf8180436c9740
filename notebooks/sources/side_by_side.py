# %% [markdown]
# opening

# %%
# extras: all

# %%
import inspect
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np

import alexnet
from alexnet import backends
from alexnet.views.code import Code

FRAMEWORKS = ["torch", "mxnet", "paddle", "tensorflow"]  # Paddle comes before TensorFlow
# With a GPU in every framework, the book's recipe. Set True to do it on a CPU.
FULL = all(backends.load(name).gpus() for name in FRAMEWORKS)

# %% [markdown]
# table

# %%
table = alexnet.ZOO["alexnet"]
table

# %% [markdown]
# code

# %%
alexnet.show("alexnet", FRAMEWORKS)

# %% [markdown]
# nets

# %%
nets = {name: alexnet.build("alexnet", backend=name, seed=0) for name in FRAMEWORKS}
weights = {name: alexnet.get_weights(net) for name, net in nets.items()}
for name, net in nets.items():
    equal = all(np.array_equal(w, weights["torch"][key]) for key, w in weights[name].items())
    print(f"{name:12}{type(net).__name__:18}{equal = }")

# %% [markdown]
# images

# %%
_, images = alexnet.load_fashion_mnist(
    batch_size=8, resize=224, source="sample", normalize=True, subset=(8, 8)
)
X, y = next(iter(images))
alexnet.show_images(X, alexnet.label_names(y))

# %% [markdown]
# logits

# %%
nets["numpy"] = alexnet.build("alexnet", backend="numpy", seed=0)
logits = {name: alexnet.predict(net, images) for name, net in nets.items()}  # (8, 10) each
largest = np.abs(logits["numpy"]).max()
for a, b in combinations(logits, 2):
    print(f"{a:10} {b:10} {np.abs(logits[a] - logits[b]).max() / largest:.1e}")

# %% [markdown]
# compare

# %%
comparison = alexnet.compare("alexnet", FRAMEWORKS, full=FULL, data=None if FULL else "sample")
comparison

# %% [markdown]
# curve

# %%
histories = {history.backend: history for history in comparison.histories}
losses = {name: np.array([s["loss"] for s in h.steps]) for name, h in histories.items()}
gaps = {name: np.abs(losses[name] - losses["torch"]) for name in FRAMEWORKS[1:]}
colours = {name: backends.framework(name).style["color"] for name in FRAMEWORKS}

figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for name, gap in gaps.items():
    ax.semilogy(range(1, len(gap) + 1), gap, color=colours[name], label=name)
ax.set(xlabel="step", title="difference of the loss from PyTorch's")
ax.legend()
plt.show()

# %% [markdown]
# agreement

# %%
answers = {row.backend: np.array(row.answers.classes) for row in comparison.rows}
for a, b in combinations(answers, 2):
    print(f"{a:10} {b:10} {np.mean(answers[a] == answers[b]):.1%}")

# %% [markdown]
# speed

# %%
figures = {
    "examples per second": [history.examples_per_sec for history in histories.values()],
    "first step, seconds": [history.warmup_seconds for history in histories.values()],
    "peak memory, MB": [row.peak_memory / 1e6 for row in comparison.rows],
}
figure, axes = plt.subplots(1, 3, figsize=(10, 2.2), sharey=True, layout="constrained")
for ax, (title, numbers) in zip(axes, figures.items(), strict=True):
    ax.barh(list(histories), numbers, color=[colours[name] for name in histories])
    ax.set_title(title)
plt.show()

# %% [markdown]
# backends

# %%
Code(
    "SGD with momentum",
    {
        backends.framework(name).title: inspect.getsource(backends.load(name).Trainer)
        for name in FRAMEWORKS
    },
)

# %% [markdown]
# end
