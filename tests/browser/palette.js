// A picture in at most 256 colours: the most frequent ones as they are, every other as the nearest of those.
async (picture) => {
  const image = await createImageBitmap(new Blob([Uint8Array.from(atob(picture), (c) => c.charCodeAt(0))]));
  const { width, height } = image;
  const canvas = new OffscreenCanvas(width, height).getContext('2d');
  canvas.drawImage(image, 0, 0);
  const seen = new Uint32Array(canvas.getImageData(0, 0, width, height).data.buffer).map((c) => c & 0xffffff);

  const counts = new Map();
  for (const c of seen) counts.set(c, (counts.get(c) ?? 0) + 1);
  const kept = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([c]) => c);
  const parts = (c) => [c & 255, (c >> 8) & 255, c >> 16];
  const palette = kept.map(parts);
  const place = new Map(kept.map((c, i) => [c, i]));
  const nearest = (c) => {
    const [r, g, b] = parts(c);
    const away = palette.map(([x, y, z]) => (x - r) ** 2 + (y - g) ** 2 + (z - b) ** 2);
    return away.indexOf(Math.min(...away));
  };
  const pixels = Uint8Array.from(seen, (c) => {
    if (!place.has(c)) place.set(c, nearest(c));
    return place.get(c);
  });
  let text = '';
  for (let at = 0; at < pixels.length; at += 32768) text += String.fromCharCode(...pixels.subarray(at, at + 32768));
  return { width, height, colours: palette.flat(), pixels: btoa(text) };
}
