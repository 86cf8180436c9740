"""Programs in several frameworks: plain text in a terminal, and tabs in a notebook."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from alexnet.backends import FRAMEWORKS, framework
from alexnet.backends.source import source
from alexnet.spec import Net, ResolvedNet
from alexnet.spec.zoo import get

# JupyterLab has its own colours of code, light or dark. The other colours are legible on both pages.
STYLE = """<style>
.alexnet-code { position: relative; display: flex; flex-wrap: wrap; gap: 0 .3rem; }
.alexnet-code > input { position: absolute; opacity: 0; pointer-events: none; }
.alexnet-code > label { padding: .2rem .7rem; border-bottom: 3px solid transparent; cursor: pointer; }
.alexnet-code > input:checked + label { border-color: currentColor; font-weight: 600; }
.alexnet-code > input:focus-visible + label { outline: 2px solid; outline-offset: -2px; }
.alexnet-code > div { order: 1; flex: 0 0 100%; min-width: 0; display: none; }
.alexnet-code > input:checked + label + div { display: block; }
.alexnet-code pre { margin: .5rem 0; overflow-x: auto; white-space: pre; font: 13px/1.45 monospace; }
.alexnet-code :is(.k, .kn, .kc) { color: var(--jp-mirror-editor-keyword-color, #3d8a3d); }
.alexnet-code :is(.s1, .s2, .sa, .sd) { color: var(--jp-mirror-editor-string-color, #cc5c50); }
.alexnet-code :is(.mi, .mf) { color: var(--jp-mirror-editor-number-color, #3a86b8); }
.alexnet-code :is(.c1, .ch) { color: var(--jp-mirror-editor-comment-color, #7a7a7a); font-style: italic; }
@media print { .alexnet-code > div { display: block; order: 0; } }
</style>"""


@dataclass(frozen=True, repr=False)
class Code:
    """The same in several frameworks: ``programs`` maps the title of each tab to Python code.

    ``print`` shows the programs below each other. A notebook shows them in tabs, without scripts.
    ``title`` says what the programs do.

    >>> Code("two sums", {"NumPy": "np.sum(x)", "PyTorch": "torch.sum(x)"})
    np.sum(x)
    <BLANKLINE>
    torch.sum(x)
    """

    title: str
    programs: Mapping[str, str]

    def __repr__(self) -> str:
        return "\n\n".join(self.programs.values()).removesuffix("\n")

    def _repr_html_(self) -> str:
        """Return the programs as radio buttons and their panels. Without its style, all are visible."""
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer

        group = f"code-{secrets.token_hex(4)}"  # a page may have several displays
        parts = []
        for number, (name, program) in enumerate(self.programs.items(), 1):
            checked = " checked" if number == 1 else ""
            listing = highlight(program, PythonLexer(), HtmlFormatter(nowrap=True))
            parts.append(
                f'<input type="radio" name="{group}" id="{group}-{number}"{checked}>'
                f'<label for="{group}-{number}">{escape(name)}</label>'
                f'<div role="group" aria-label="{escape(name)}"><pre tabindex="0">{listing}</pre></div>'
            )
        return (
            f'{STYLE}<div class="alexnet-code" role="radiogroup" aria-label="{escape(self.title)}">'
            f"{''.join(parts)}</div>"
        )


def show(model: str | Net | ResolvedNet, backends: str | Sequence[str] | None = None) -> Code:
    """Return the source code of a net in several frameworks. A notebook shows it in tabs.

    Each program is ready to paste, and makes the same layers as `alexnet.build`. It has a line for each row
    of the table, so the programs can be read beside each other. No framework is imported.

    Parameters
    ----------
    model : a name of the zoo, a `Net`, or a net at another input shape (``net.resolve(shape)``).
    backends : names of backends, or one name; default: all.

    Raises SpecError for an unknown net or a layer that does not fit, and BackendError for an unknown
    backend and for a layer that a backend does not support.

    >>> code = show("lenet", ["torch", "tensorflow"])
    >>> list(code.programs)
    ['PyTorch', 'TensorFlow']
    >>> print(code.programs["PyTorch"].splitlines()[4])
        nn.Conv2d(1, 6, kernel_size=5, padding=2),  # 6×28×28
    """
    net = model if isinstance(model, ResolvedNet) else get(model).resolve()
    names = [backends] if isinstance(backends, str) else backends or FRAMEWORKS
    return Code(f"code of {net.name}", {framework(name).title: source(net, name) for name in names})
