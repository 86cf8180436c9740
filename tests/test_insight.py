"""What a trained net has learned: filters, activations, confusion and mistakes, by value."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from fits import TINY, fit, load
from helpers import layers_of, native, render
from nets import DROPOUT_EVERYWHERE, example, rendered
from own_nets import by_hand, classes

import alexnet
from alexnet import backends
from alexnet.backends import BoundNet
from alexnet.errors import AlexNetError, DataError, RunError, SpecError, WeightsError
from alexnet.insight.confusion import Confusion
from alexnet.insight.filters import Filters
from alexnet.insight.mistakes import Mistakes
from alexnet.spec import BatchNorm, Conv, Dense, Flatten, MaxPool, Net, ReLU
from alexnet.spec.zoo import LENET

IMAGES = Net("images", (3, 9, 7), (BatchNorm(), Conv(4, 3), ReLU(), Flatten(), Dense(5)))
PIXELS = Net("pixels", (2, 4, 5), (Flatten(), BatchNorm(), Dense(3), ReLU(), Dense(2)))
LOGITS = Net("logits", (3,), (Dense(3),))  # with identity weights, the inputs are the logits


def text_of(figure):
    """All text in a figure."""
    inside = [t.get_text() for axes in figure.axes for t in (*axes.texts, axes.title)]
    return "\n".join([*(t.get_text() for t in figure.texts), *inside, figure.get_suptitle()])


# --- filters --------------------------------------------------------------------------------------


def test_filters_are_the_first_convolutions_weights_in_the_neutral_layout(name):
    weights, _, _ = example(IMAGES)
    found = alexnet.filters(rendered(name, IMAGES, weights))
    np.testing.assert_array_equal(found.weights, weights["1.weight"])
    assert (found.weights.dtype, found.layer) == (np.float32, "layer 1 Conv(4, 3)")


def test_filters_of_a_dense_layer_are_images_of_its_input(name):
    weights, _, _ = example(PIXELS)
    found = alexnet.filters(rendered(name, PIXELS, weights)).weights
    np.testing.assert_array_equal(found, weights["2.weight"].reshape(3, 2, 4, 5))


def test_filters_of_pooled_pixels_have_the_pooled_size():
    net = Net("pooled", (1, 8, 6), (MaxPool(2), Flatten(), Dense(5)))
    assert alexnet.filters(render("numpy", net)).weights.shape == (5, 1, 4, 3)


def test_a_vector_is_an_image_if_it_can_be_square():
    shapes = {784: (1, 28, 28), 3072: (3, 32, 32)}
    for features, shape in shapes.items():
        net = render("numpy", Net("flat", (features,), (Dense(4),)))
        assert alexnet.filters(net).weights.shape == (4, *shape)
    with pytest.raises(SpecError, match=r"layer 0 Dense\(4\): 7 weights for each unit do not form"):
        alexnet.filters(render("numpy", Net("flat", (7,), (Dense(4),))))


def test_filters_of_own_nets(framework):
    own = classes(framework)
    alexnet.evaluate(own, load()[1])  # some nets have no weights before
    found = alexnet.filters(own)
    first = next(w for key, w in alexnet.get_weights(own).items() if key.endswith("weight"))
    np.testing.assert_array_equal(found.weights, first.reshape(10, 1, 28, 28))
    assert found.net == "Net"


def test_nets_without_filters_are_refused():
    with pytest.raises(SpecError, match="no layer has weights"):
        alexnet.filters(render("numpy", Net("empty", (1, 3, 3), (Flatten(),))))
    with pytest.raises(AlexNetError, match="str is not a net"):
        alexnet.filters("lenet")
    diverged = alexnet.build("lenet", backend="numpy")
    diverged.layers[0].params["weight"][0] = np.nan
    with pytest.raises(WeightsError, match=r"layer 0 Conv\(.*: some weights are not finite"):
        alexnet.filters(diverged)


@pytest.mark.needs("torch")
def test_weights_that_are_not_filters_are_refused():
    import torch

    with pytest.raises(SpecError, match=r"Conv1d, weight: .* got shape \(2, 3, 5\)"):
        alexnet.filters(torch.nn.Conv1d(3, 2, 5))


@pytest.mark.needs("mxnet")
def test_filters_of_a_net_without_arrays_are_refused():
    from mxnet.gluon import nn

    with pytest.raises(WeightsError, match="before their first call on a batch"):
        alexnet.filters(nn.Dense(3))


def test_the_picture_of_filters_has_one_symmetric_scale():
    """Black is -2, grey 0, white 2: 1 is half of the way from grey to white, 0.5 a quarter."""
    weights = np.array([[-2, 0, 1], [0.5, 0.5, 0.5]], np.float32).reshape(2, 1, 1, 3)
    figure = Filters("mine", "layer 0", weights).plot()
    (image,) = figure.axes[0].images
    shades = image.get_array()
    opaque = shades[shades[..., 3] == 255][:, 0]
    assert set(np.unique(opaque)) == {0, 128, 159, 191}
    assert "black -2, grey 0, white 2" in text_of(figure)


def test_filters_with_three_channels_are_in_colour_and_others_side_by_side():
    weights = np.zeros((2, 3, 8, 8), np.float32)
    weights[0, 2] = 1  # blue
    shades = Filters("mine", "layer 0", weights).plot().axes[0].images[0].get_array()
    assert tuple(shades[20, 20]) == (128, 128, 255, 255)
    assert "each colour channel" in text_of(Filters("mine", "layer 0", weights).plot())
    shades = Filters("mine", "layer 0", weights[:, 1:]).plot().axes[0].images[0].get_array()
    assert shades.shape[1] > 1.9 * shades.shape[0]  # two filters, each two squares wide


# --- activations ----------------------------------------------------------------------------------


def outputs_of(framework, net, X):
    """The framework's own output of each layer, in evaluation mode and in its own layout."""
    if framework == "tensorflow":
        for layer in net.layers:
            X = layer(X, training=False)
            if "Padding" not in type(layer).__name__:
                yield X
    else:
        if hasattr(net, "eval"):
            net.eval()
        for layer in layers_of(net):
            X = layer(X)
            yield X


@pytest.mark.parametrize("table", [LENET, DROPOUT_EVERYWHERE], ids=lambda net: net.name)
def test_activations_are_the_frameworks_own_layer_outputs(framework, table):
    weights, _, _ = example(table)
    net, bound = (made := rendered(framework, table, weights)), BoundNet.of(made)
    image = np.random.default_rng(5).random((1, 28, 28), np.float32)
    found = alexnet.activations(net, image)
    expected = list(outputs_of(framework, net, native(framework, image[None])))
    assert len(found) == len(expected) == len(table.layers)
    shapes = [row.output_shape for row in table.resolve().rows]
    assert [values.shape for values in found] == shapes
    flattened = None
    for row, values, own in zip(table.resolve().rows, found, expected, strict=True):
        if isinstance(row.layer, Flatten):
            flattened = row.input_shape
        elif isinstance(row.layer, Dense):
            flattened = None
        laid_out = bound.to_own_layout(values[None], flattened)
        np.testing.assert_allclose(laid_out, bound.backend.to_numpy(own), rtol=1e-4, atol=1e-5)
        assert values.dtype == np.float32


def test_activations_of_a_trained_net_end_in_its_own_logits(name):
    """Training left dropout on and changed the running statistics."""
    history = fit(DROPOUT_EVERYWHERE, backend=name)
    _, test_iter = load(batch_size=1)
    X, _ = next(test_iter.on(name, "cpu").epoch(0))
    before = alexnet.get_weights(history.net)
    found = alexnet.activations(history.net, X)
    bound = BoundNet.of(history.net)
    logits = bound.backend.to_numpy(bound.backend.predict(history.net, X))
    np.testing.assert_allclose(found[-1], logits[0], rtol=1e-4, atol=1e-5)
    for key, w in alexnet.get_weights(history.net).items():
        np.testing.assert_array_equal(w, before[key])


def test_activations_of_a_net_in_double_precision(name):
    weights, images, _ = example(IMAGES)
    net = render(name, IMAGES, "float64")
    backends.load(name).set_weights(net, {key: w.astype(float) for key, w in weights.items()})
    expected = alexnet.activations(rendered(name, IMAGES, weights), images[0])
    for values, others in zip(alexnet.activations(net, images[0]), expected, strict=True):
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, others, rtol=1e-4, atol=1e-5)


def test_an_image_may_come_in_any_of_these_forms(name):
    weights, images, _ = example(IMAGES)
    net, image = rendered(name, IMAGES, weights), images[0]
    expected = alexnet.activations(net, image)
    bound = BoundNet.of(net)
    forms = (
        image[None],
        image.transpose(1, 2, 0),
        image.astype(np.float64),
        native(name, image[None]),
    )
    for form in (*forms, bound.to_tensor(image[None])[0]):
        found = alexnet.activations(net, form)
        np.testing.assert_array_equal(found.image, image)
        np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((1, 27, 28)), r"must have shape \(1, 28, 28\), got \(1, 27, 28\)"),
        (np.zeros((28, 28)), r"got \(28, 28\)"),
        (np.zeros((2, 1, 28, 28)), r"got \(2, 1, 28, 28\)"),
        (np.zeros((1, 28, 28), np.uint8), "must have floats, .* got uint8"),
        (np.full((1, 28, 28), np.nan), "not finite"),
    ],
)
def test_wrong_images_are_refused(image, message):
    with pytest.raises(DataError, match=f"^lenet: the image .*{message}"):
        alexnet.activations(alexnet.build("lenet", backend="numpy"), image)


def test_activations_need_a_table(framework):
    with pytest.raises(RunError, match=r"was built elsewhere; alexnet\.save"):
        alexnet.activations(by_hand(framework), np.zeros((1, 28, 28)))


@pytest.mark.needs("torch")
def test_a_net_that_was_changed_after_it_was_built_is_refused():
    import torch

    net, image = alexnet.build("lenet", backend="torch"), np.zeros((1, 28, 28))
    net[1] = torch.nn.Tanh()
    with pytest.raises(RunError, match="lenet: this Sequential computes something else"):
        alexnet.activations(net, image)
    net[1] = torch.nn.Linear(1, 1)
    with pytest.raises(WeightsError, match=r"lenet: arrays that are not in the net: 1\.weight"):
        alexnet.activations(net, image)


def test_a_diverged_net_is_refused():
    net = alexnet.build("lenet", backend="numpy")
    net.layers[3].params["weight"][:] = np.float32(3e38)
    with (
        np.errstate(all="ignore"),
        pytest.raises(RunError, match=r"lenet, layer 3 Conv\(16, 5\): .* not finite"),
    ):
        alexnet.activations(net, np.ones((1, 28, 28)))


def test_layers_are_found_by_their_index():
    found = alexnet.activations(alexnet.build("lenet", backend="numpy"), np.ones((1, 28, 28)))
    assert found.layers[-1].name == "11 Dense(10): 10"
    assert found[-12] is found[0] is found.layers[0].values
    for index in (12, -13):
        with pytest.raises(SpecError, match=f"lenet has layers 0 to 11, got {index}"):
            found[index]


def test_the_picture_of_activations_names_every_layer_that_changes_values(real_images):
    image = real_images[:1] / np.float32(255)
    found = alexnet.activations(render("numpy", DROPOUT_EVERYWHERE), image)
    figure = found.plot()
    text = text_of(figure)
    drawn = [0, 1, 2, 4, 7, 8, 10]
    assert len(figure.axes) == 1 + len(drawn)  # the image comes first
    assert all(found.layers[index].name in text for index in drawn)
    assert "change no value: 3 Dropout(0.3), 5 Flatten()," in text
    heights = [axes.get_position().y0 for axes in figure.axes]
    assert all(above > below for above, below in pairwise(heights))


def test_the_picture_of_one_layer_shows_all_maps():
    net = Net("wide", (1, 6, 6), (Conv(40, 3), Flatten(), Dense(4000)))
    found = alexnet.activations(alexnet.build(net, backend="numpy"), np.ones((1, 6, 6)))
    assert "first 16 maps" in text_of(found.plot())
    figure = found.plot(0)
    assert "first" not in text_of(figure)
    overview, whole = (f.axes[1].images[0].get_array() for f in (found.plot(), figure))
    assert whole.shape[0] > 2.9 * overview.shape[0]  # three lines of maps in the place of one
    with pytest.raises(SpecError, match="wide has layers 0 to 2, got 3"):
        found.plot(3)


# --- predictions ----------------------------------------------------------------------------------


def identity(name):
    """A net of a framework whose logits are its inputs."""
    weights = {"0.weight": np.eye(3, dtype=np.float32), "0.bias": np.zeros(3, np.float32)}
    return rendered(name, LOGITS, weights)


# Pairs of the true and the predicted class, in two batches of unequal length.
ANSWERS = [[(0, 0), (0, 1), (0, 1), (1, 1)], [(2, 0), (0, 1), (2, 2)]]
COUNTS = [[1, 3, 0], [0, 1, 0], [1, 0, 1]]


def batches(sure=2.0):
    return [
        (sure * np.eye(3, dtype=np.float32)[[p for _, p in batch]], np.array([t for t, _ in batch]))
        for batch in ANSWERS
    ]


def test_predict_returns_the_logits_of_all_batches_in_order(name):
    found = alexnet.predict(identity(name), batches())
    np.testing.assert_array_equal(found, np.concatenate([X for X, _ in batches()]))  # (7, 3)
    assert found.dtype == np.float32


def test_predict_gives_the_references_logits_for_a_loader(name):
    weights, _, _ = example(TINY)
    expected = alexnet.predict(rendered("numpy", TINY, weights), load()[1])
    found = alexnet.predict(rendered(name, TINY, weights), load(batch_size=7)[1])
    assert found.shape == (40, 10)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * abs(expected).max())


def test_confusion_counts_rows_of_true_and_columns_of_predicted_classes(name):
    found = alexnet.confusion(identity(name), batches())
    assert found.counts.tolist() == COUNTS
    assert found.counts.dtype == np.int64
    assert found.classes == ("0", "1", "2")
    assert found.accuracy == alexnet.evaluate(identity(name), batches()) == 3 / 7
    assert found.recall.tolist() == [1 / 4, 1, 1 / 2]
    assert found.precision.tolist() == [1 / 2, 1 / 4, 1]


def test_confusion_of_own_nets_and_their_mistakes(framework):
    _, test_iter = load()
    own = classes(framework)
    accuracy = alexnet.evaluate(own, test_iter)
    found = alexnet.confusion(own, test_iter)
    assert (found.accuracy, found.counts.sum()) == (accuracy, 40)
    assert found.classes == test_iter.classes
    wrong = alexnet.mistakes(own, test_iter, k=40)
    assert len(wrong) == wrong.wrong == 40 - found.counts.trace()


def test_a_class_without_images_or_predictions_has_no_recall_or_precision():
    found = Confusion("mine", np.array([[2, 1, 0], [0, 0, 0], [1, 0, 0]]), ("a", "b", "c"))
    assert np.isnan(found.recall).tolist() == [False, True, False]
    assert np.isnan(found.precision).tolist() == [False, False, True]
    assert "–" in text_of(found.plot())
    assert repr(found).endswith("errors: a predicted as b (1), c predicted as a (1)")


@pytest.mark.parametrize("function", [alexnet.confusion, alexnet.mistakes, alexnet.predict])
def test_data_and_outputs_that_name_no_class_are_refused(function):
    X, y = batches()[0]
    net = identity("numpy")
    with pytest.raises(DataError, match="the test set has label 3, but the net has 3 classes"):
        function(net, [(X, y + 2)])
    with pytest.raises(DataError, match="the test set has label -1"):
        function(net, [(X, y - 1)])
    with pytest.raises(DataError, match="gives no batches"):
        function(net, [])
    broken = np.where(np.arange(4)[:, None] == 2, np.nan, X)
    with pytest.raises(RunError, match="logits: the outputs for image 6 are not finite"):
        function(net, [(X, y), (broken, y)])
    maps = render("numpy", Net("maps", (1, 4, 4), (Conv(2, 3),)))
    with pytest.raises(RunError, match=r"maps: the output must have shape \(batch, classes\)"):
        function(maps, [(np.zeros((4, 1, 4, 4), np.float32), y)])
    with pytest.raises(AlexNetError, match="str is not a net"):
        function("lenet", [(X, y)])


@pytest.mark.parametrize("k", [0, -1, 1.5, True, None, "3"])
def test_a_wrong_number_of_mistakes_is_refused(k):
    with pytest.raises(RunError, match="k must be a whole number of at least 1"):
        alexnet.mistakes(identity("numpy"), batches(), k=k)


def test_the_most_confident_mistakes_come_first(name):
    """Image 5 is surer than 2, which is surer than 1 and 4. Image 3 is right."""
    sure = np.array([[9, 0, 1, 9], [1, 5, 9]], dtype=object)
    logits = [
        np.array(s, np.float32)[:, None] * X for s, (X, _) in zip(sure, batches(1), strict=True)
    ]
    data = [(X, y) for X, (_, y) in zip(logits, batches(), strict=True)]
    data[0][0][1] = 0, 1, 0  # as sure as the next image
    found = alexnet.mistakes(identity(name), data, k=3)
    assert found.indices.tolist() == [5, 1, 2]
    assert found.labels.tolist() == [0, 0, 0]
    assert found.predicted.tolist() == [1, 1, 1]
    e = np.e
    np.testing.assert_allclose(
        found.probabilities, [e**5 / (e**5 + 2), *[e / (e + 2)] * 2], rtol=1e-6
    )
    np.testing.assert_array_equal(found.images[0], [0, 5, 0])
    assert (found.wrong, found.total, len(found)) == (4, 7, 3)


def test_mistakes_carry_the_images_of_the_loader(name):
    """A shuffled loader too: the indices lead to the original pixels."""
    history = fit("lenet", backend=name)
    train_iter, test_iter = load(batch_size=13)
    for data in (train_iter, replace(test_iter, max_batches=2)):
        found = alexnet.mistakes(history.net, data, k=7)
        assert found.images.shape == (7, 1, 28, 28)
        assert found.images.dtype == np.float32
        pixels = data.pixels[found.indices] / np.float32(255)
        np.testing.assert_allclose(found.images[:, 0], pixels, atol=1e-6)
        assert (found.labels == data.labels[found.indices]).all()
        assert (found.labels != found.predicted).all()
        assert (np.diff(found.probabilities) <= 0).all()


def test_a_net_without_mistakes_says_so():
    X, y = np.eye(3, dtype=np.float32), np.arange(3)
    found = alexnet.mistakes(identity("numpy"), [(X, y)])
    assert (len(found), found.images.shape, found.wrong) == (0, (0, 3), 0)
    assert repr(found) == "logits: 0 of 3 images wrong"
    assert "0 of 3 images wrong" in text_of(found.plot())


def test_a_picture_shows_the_first_64_mistakes():
    kinds = np.zeros(70, int)
    columns = np.zeros((70, 1, 2, 2)), kinds, kinds + 1, np.ones(70), kinds
    figure = Mistakes("mine", *columns, ("cat", "dog"), 99, 200).plot()
    assert len(figure.axes) == 64
    assert figure.get_suptitle() == "mine: 99 of 200 images wrong, the 64 most confident"
    assert figure.axes[63].get_title() == "true: cat\nnet: dog\n100.0%"


# --- pictures -------------------------------------------------------------------------------------


def results():
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, 5)
    yield Filters("mine", "layer 0", rng.standard_normal((6, 1, 5, 5)))
    yield alexnet.activations(alexnet.build("lenet", backend="numpy"), np.ones((1, 28, 28)))
    yield Confusion("mine", rng.integers(0, 9, (3, 3)), ("a", "b", "c"))
    yield Confusion("mine", rng.integers(0, 9, (30, 30)), tuple(map(str, range(30))))
    for shape in [(1, 4, 4), (3, 4, 4), (2, 4, 4), (16,), (7,)]:
        images = rng.random((5, *shape))
        columns = images, kinds, kinds[::-1], np.full(5, 0.5), np.arange(5)
        yield Mistakes("mine", *columns, ("a", "b", "c"), 5, 9)


def test_a_notebook_shows_a_picture_with_a_text():
    from IPython.core.formatters import DisplayFormatter

    for result in results():
        data, details = DisplayFormatter().format(result)
        assert data["image/png"].startswith(b"\x89PNG")
        assert data["text/plain"] == details["image/png"]["alt"] == repr(result)
        assert 300 < details["image/png"]["width"] <= 800


def test_the_confusion_matrix_shows_every_count_and_name():
    names = ("cat", "dog", "ankle boot")
    figure = Confusion("mine", np.array([[1200, 3, 0], [0, 41, 0], [21, 0, 17]]), names).plot()
    (axes,) = figure.axes
    cells = {(t.get_position()[1], t.get_position()[0]): t.get_text() for t in axes.texts}
    assert cells[0, 0] == "1,200"
    assert cells[0, 1] == "3"
    assert cells[2, 0] == "21"
    assert (1, 0) not in cells
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == list(names)
    assert "100%" in text_of(figure)  # recall and precision
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
