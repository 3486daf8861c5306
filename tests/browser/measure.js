// What can be said of a drawn view by measuring it. Runs in the page, on the view's element.
(root) => {
  const all = [root, ...root.querySelectorAll('*')].filter((e) => e.checkVisibility({ visibilityProperty: true }));
  const ownText = (e) => [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join('').trim();
  const named = (e) => `${e.tagName.toLowerCase()}.${e.className}: ${(e.innerText ?? '').slice(0, 60)}`;

  const scrolls = (e) => e.closest('.table-block, pre');
  const wide = all.filter((e) => {
    const { left, right, width } = e.getBoundingClientRect();
    const inside = scrolls(e) && scrolls(e) !== e;
    return width && !inside && (left < -0.5 || right > innerWidth + 0.5);
  });
  const tables = [...root.querySelectorAll('.table-block')];

  const colour = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const over = (top, under) => ({
    r: top.r * top.a + under.r * (1 - top.a), g: top.g * top.a + under.g * (1 - top.a),
    b: top.b * top.a + under.b * (1 - top.a), a: 1,
  });
  const light = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) {
      layers.push(colour(getComputedStyle(at).backgroundColor));
      if (layers.at(-1).a === 1) break;
    }
    return layers.reverse().reduce((under, top) => over(top, under), { r: 255, g: 255, b: 255, a: 1 });
  };
  const contrast = (e) => {
    const under = behind(e);
    const [x, y] = [light(over(colour(getComputedStyle(e).color), under)), light(under)].sort((a, b) => b - a);
    return (x + 0.05) / (y + 0.05);
  };
  const read = all.filter((e) => /[\p{L}\p{N}]/u.test(ownText(e)) && !e.closest('.toolbar, .avatar, .hover-time'));
  const faint = read.filter((e) => contrast(e) < 4.5);

  const pane = root.closest('.scroll-pane') ?? root;
  const { top } = root.getBoundingClientRect();
  const actions = root.querySelector('.block-actions');
  return {
    blocks: [...root.querySelectorAll('.block')].map((e) => e.innerText.trim()),
    text: root.innerText,
    wide: wide.map(named),
    tables: tables.map((e) => e.scrollWidth - e.clientWidth),
    cut: tables.flatMap((e) => [...e.querySelectorAll('th:not(:last-child), td:not(:last-child)')].filter(
      (cell) => cell.getBoundingClientRect().right > e.getBoundingClientRect().right + 0.5).map((cell) => cell.innerText)),
    cells: tables.flatMap((e) => [...e.querySelectorAll('th, td')].map((cell) => cell.innerText.trim())),
    faint: faint.map((e) => `${named(e)} ${contrast(e).toFixed(2)}`),
    read: read.length,
    toButtons: actions ? actions.getBoundingClientRect().bottom - top : 0,
    room: pane.clientHeight,
  };
}
