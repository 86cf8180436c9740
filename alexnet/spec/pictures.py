"""Drawings of several nets at one scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alexnet.spec.nets import Net, ResolvedNet
from alexnet.spec.zoo import get

if TYPE_CHECKING:
    from alexnet.drawing.drawing import Drawing


def draw(*models: str | Net | ResolvedNet) -> Drawing:
    """Return a drawing of nets beside each other, at one scale.

    ``models`` are names of the zoo, nets, or nets at another input shape (``net.resolve(shape)``).

    A notebook shows the drawing if a cell ends with it. ``save("nets.svg")`` and ``save("nets.png")``
    write a file. ``description`` has every layer in a sentence, for a reader who cannot see the drawing.

    Each image is a flat box: its width goes to the right, its height into the depth, and its channels
    up. Heights and widths are proportional to pixels. If one of them would be too small to see, they are
    proportional to the square root of pixels. Channels and vectors have a log scale. The drawing names its
    scales. The coloured pyramids connect one position of a window with the output pixel.

    Raises DataError without any net, and SpecError for an unknown name or a layer that does not fit.

    >>> drawing = draw("lenet", Net("mine", (1, 28, 28), get("lenet").layers[:3]))
    >>> drawing.description.splitlines()[-2]
    'Layer 2, 2×2 AvgPool, stride 2, gives 6×14×14 values.'
    """
    from alexnet.drawing.drawing import Drawing

    nets = (m if isinstance(m, ResolvedNet) else get(m).resolve() for m in models)
    return Drawing([net.diagram() for net in nets])
