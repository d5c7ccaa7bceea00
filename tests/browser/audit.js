/* What can be seen and touched below `root`: texts, parts, lines and targets with their places in the window, in CSS pixels.
   Colours are those that the browser computes; backgrounds are taken from a picture without text, by audit.py. */
(rootSelector) => {
  const EDGE_PX = 4;
  const root = document.querySelector(rootSelector);
  const rgba = (color) => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d');
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const opacityOf = (element) => {
    let product = 1;
    for (let at = element; at; at = at.parentElement) product *= Number(getComputedStyle(at).opacity);
    return product;
  };
  const boxOf = ({ left, top, width, height }) => [left, top, width, height];
  const isSeen = (element) => {
    if (!element.checkVisibility({ visibilityProperty: true }) || opacityOf(element) < 0.05) return false;
    const hidden = element.closest('.sr, [aria-hidden=true] .sr, noscript');
    return hidden === null && getComputedStyle(element).clipPath === 'none';
  };
  const nameOf = (element) =>
    (element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent ?? element.textContent ?? '')
      .trim()
      .replace(/\s+/g, ' ')
      .slice(0, 48) ||
    element.id ||
    element.tagName.toLowerCase();
  /** Without what a scrolling box around it hides: all that is not within its border. */
  const clip = (element, [left, top, width, height]) => {
    let [right, bottom] = [left + width, top + height];
    for (let at = element.parentElement; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.overflowX === 'visible' && style.overflowY === 'visible') continue;
      if (at === document.documentElement || at === document.body) break;
      const around = at.getBoundingClientRect();
      const border = (side) => Number.parseFloat(style[`border${side}Width`]);
      [left, top] = [Math.max(left, around.left + border('Left')), Math.max(top, around.top + border('Top'))];
      right = Math.min(right, around.right - border('Right'));
      bottom = Math.min(bottom, around.bottom - border('Bottom'));
    }
    [left, top, right, bottom] = [
      Math.max(left, 0),
      Math.max(top, 0),
      Math.min(right, innerWidth),
      Math.min(bottom, innerHeight),
    ];
    return right - left > 1 && bottom - top > 1 ? [left, top, right - left, bottom - top] : null;
  };
  const isOff = (element) =>
    element.closest(':disabled') !== null || element.closest('label')?.control?.disabled === true;
  const textOf = (element, text, box) => {
    const style = getComputedStyle(element);
    const isSvg = element instanceof SVGElement;
    const color = rgba(isSvg ? style.fill : style.color);
    color[3] *= opacityOf(element) * (isSvg ? Number(style.fillOpacity) : 1);
    const px = Number.parseFloat(style.fontSize);
    return {
      text: text.trim().replace(/\s+/g, ' ').slice(0, 48),
      color,
      px,
      bold: Number(style.fontWeight) >= 700,
      svg: isSvg,
      off: isOff(element),
      box,
    };
  };

  const texts = [];
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !isSeen(element) || element.closest('option, script, style')) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const [rect] = [...range.getClientRects()].filter(({ width, height }) => width > 1 && height > 1);
    const shown = rect && clip(element, boxOf(rect));
    if (shown) texts.push(textOf(element, node.data, shown));
  }
  for (const field of root.querySelectorAll(
    'select, textarea, input:not([type=range], [type=checkbox], [type=radio])',
  )) {
    const [left, top, width, height] = boxOf(field.getBoundingClientRect());
    const inside = [left + EDGE_PX, top + EDGE_PX, width - 2 * EDGE_PX, height - 2 * EDGE_PX];
    if (isSeen(field) && clip(field, inside))
      texts.push(textOf(field, field.value || field.placeholder || '', clip(field, inside)));
  }

  const parts = [];
  const addPart = (what, element, box = boxOf(element.getBoundingClientRect())) =>
    parts.push({ what, name: nameOf(element), box, off: isOff(element) });
  for (const element of root.querySelectorAll(
    'input, select, textarea, .segments [aria-pressed=true], .segments input:checked + span, .added, .swatch line, .results .curve polyline',
  )) {
    const { left, top, width, height } = element.getBoundingClientRect();
    const whole = element.closest('svg') ?? element;
    const shown = clip(whole, boxOf(whole.getBoundingClientRect()));
    const middle = [left, top + height / 2];
    if (!isSeen(element) || !shown || middle[1] < shown[1] || middle[1] >= shown[1] + shown[3]) continue;
    if (element.type === 'range') {
      addPart('slider, filled', element, [middle[0] + 8, middle[1] - 1, 1, 2]);
      addPart('slider, rest', element, [middle[0] + width - 10, middle[1] - 1, 1, 2]);
    } else if (element.type === 'radio' || element.matches('.run select'))
      continue; // the label is what is seen; a run's kind is its text and its arrow
    else if (element.matches('.segments *'))
      addPart('chosen view', element, [left + width / 2, top + height - 3, 1, 1]);
    else if (element.matches('.added')) width > 2 && addPart('bar', element, [left + 1, middle[1] - 0.5, 1, 1]);
    else if (element.matches('.swatch line, .results .curve polyline'))
      parts.push({
        what: 'line',
        name: 'sample of a line',
        stroke: rgba(getComputedStyle(element).stroke),
        box: boxOf(element.closest('svg').getBoundingClientRect()),
      });
    else addPart(element.type === 'checkbox' ? 'checkbox' : 'field', element);
  }

  const curves = [];
  for (const path of root.querySelectorAll('.scatterlayer .trace path.js-line, .scatterlayer .trace .point')) {
    const style = getComputedStyle(path);
    const isLine = path.matches('.js-line');
    const isStroked = isLine || style.fill === 'none'; // an open marker has only a stroke
    const color = rgba(isStroked ? style.stroke : style.fill);
    color[3] *= opacityOf(path) * Number(isStroked ? style.strokeOpacity : style.fillOpacity);
    if (!isSeen(path) || (isLine && Number.parseFloat(style.strokeWidth) === 0)) continue;
    curves.push({
      color,
      panel: path.closest('[data-panel]')?.dataset.panel ?? '',
      box: boxOf(path.closest('.plot, .cost-figure').getBoundingClientRect()),
    });
  }
  for (const line of root.querySelectorAll('.cursor-x, .cursor-y')) {
    const style = getComputedStyle(line);
    if (style.mixBlendMode !== 'normal') continue; // the inverse of what is below
    const color = rgba(style.backgroundColor);
    color[3] *= opacityOf(line);
    curves.push({
      color,
      panel: `${line.closest('[data-panel]').dataset.panel}, cursor`,
      box: boxOf(line.closest('.plot-box').getBoundingClientRect()),
    });
  }

  const targets = [];
  for (const element of root.querySelectorAll('a[href], button, input, select, textarea, summary')) {
    if (
      !isSeen(element) ||
      (element.type === 'radio' && element.closest('label') === null) ||
      !clip(element, boxOf(element.getBoundingClientRect()))
    )
      continue;
    const { left, top, right, bottom } = (element.closest('label') ?? element).getBoundingClientRect();
    const after = element.matches('.gallery-card > button') ? element.parentElement.getBoundingClientRect() : null; // its ::after fills the card
    const box = after ? boxOf(after) : [left, top, right - left, bottom - top];
    const isInline = element.matches('p a, dd a, .banner a') && getComputedStyle(element).display === 'inline';
    targets.push({
      name: nameOf(element),
      tag: element.type === 'range' ? 'slider' : element.tagName.toLowerCase(),
      box,
      inline: isInline,
      off: isOff(element),
    });
  }
  return { texts, parts, curves, targets };
};
