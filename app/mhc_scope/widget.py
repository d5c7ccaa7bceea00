"""Show the page's figures in a notebook without a server, with a cursor that the notebook can read and move."""

from typing import Any

import traitlets

from mhc_core.figures.style import ThemeName
from mhc_core.record.result import Result
from mhc_scope.document import write_document

try:
    import anywidget
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "the widget needs anywidget: pip install 'mhc-scope[notebook]'", name=error.name
    ) from error

# The sandboxed frame has its own origin: it can access neither the notebook nor the network.
MODULE = """
function render({ model, el }) {
  const frame = document.createElement('iframe');
  frame.sandbox = 'allow-scripts';
  frame.title = 'mHC Scope';
  frame.style.cssText = `width: 100%; height: ${model.get('height')}px; border: 0`;
  frame.srcdoc = model.get('document');
  const onMessage = ({ source, data }) => {
    if (source !== frame.contentWindow || !Number.isInteger(data?.layer)) return;
    model.set('layer', data.layer);
    model.save_changes();
  };
  const move = () => frame.contentWindow?.postMessage({ layer: model.get('layer') }, '*');
  window.addEventListener('message', onMessage);
  model.on('change:layer', move);
  el.append(frame);
  return () => {
    window.removeEventListener('message', onMessage);
    model.off('change:layer', move);
  };
}
export default { render };
"""


class Widget(anywidget.AnyWidget):
    """Show all figures of one to four records.

    Attributes
    ----------
    layer: index of the layer at the cursor, from 0; set it to move the cursor, observe it to follow the cursor.
    height: height of the frame in pixels.
    """

    _esm = MODULE
    document = traitlets.Unicode().tag(sync=True)
    layer = traitlets.Int().tag(sync=True)
    height = traitlets.Int(820).tag(sync=True)

    def __init__(self, *results: Result, theme: ThemeName = "light", **traits: Any) -> None:
        last = max((result.depth for result in results), default=1) - 1
        layer = traits.pop("layer", last)
        super().__init__(document=write_document(results, theme, layer), layer=layer, **traits)
