// The markdown block: the common part of Markdown, read into plain objects. Pure.
import { emojiFor } from './emoji.js';
import { safeUrl } from './mrkdwn.js';

const INLINE = /`([^`\n]+)`|\[([^\]\n]+)\]\(([^()\s]+)\)|\*\*(.+?)\*\*|~~(.+?)~~|\*([^*\s][^*]*?)\*|\b_([^_]+?)_\b|:([a-z0-9_+-]+):/g;

function nodeOf([whole, code, label, url, bold, strike, star, under, emoji]) {
  if (code !== undefined) return { t: 'code', c: [{ t: 'text', s: code }] };
  if (label !== undefined) {
    const safe = safeUrl(url);
    return safe ? { t: 'link', url: safe, c: inline(label) } : { t: 'text', s: whole };
  }
  if (bold !== undefined) return { t: 'b', c: inline(bold) };
  if (strike !== undefined) return { t: 's', c: inline(strike) };
  if (emoji !== undefined) return emojiFor(emoji) ? { t: 'emoji', name: emoji, s: emojiFor(emoji) } : { t: 'text', s: whole };
  return { t: 'i', c: inline(star ?? under) };
}

function inline(source) {
  const nodes = [];
  let at = 0;
  for (const match of source.matchAll(INLINE)) {
    nodes.push({ t: 'text', s: source.slice(at, match.index) }, nodeOf(match));
    at = match.index + match[0].length;
  }
  nodes.push({ t: 'text', s: source.slice(at) });
  return nodes;
}

const cells = (line) => line.trim().replace(/^\||\|$/g, '').split('|').map((cell) => inline(cell.trim()));

/** Takes lines from `start` while `test` holds; returns them. */
function run(all, start, test) {
  let end = start;
  while (end < all.length && test(all[end])) end += 1;
  return all.slice(start, end);
}

const BULLET = /^\s*[-*+] +/;
const NUMBER = /^\s*\d+[.)] +/;
const PLAIN_END = /^(#{1,6} |```|> ?|\s*[-*+] +|\s*\d+[.)] +|\|)|^\s*$/;

function fence(all, at) {
  const body = run(all, at + 1, (line) => !line.startsWith('```'));
  return [{ t: 'pre', s: body.join('\n') }, body.length + 2];
}

function list(all, at, mark, ordered) {
  const body = run(all, at, (line) => mark.test(line));
  return [{ t: 'list', ordered, items: body.map((line) => inline(line.replace(mark, ''))) }, body.length];
}

function table(all, at) {
  const body = run(all, at, (line) => line.startsWith('|'));
  return [{ t: 'table', head: cells(body[0]), rows: body.slice(2).map(cells) }, body.length];
}

/** One block of Markdown from line `at`, and how many lines it took. */
function blockAt(all, at) {
  const line = all[at];
  const heading = /^(#{1,6}) +(.*)$/.exec(line);
  if (!line.trim()) return [null, 1];
  if (heading) return [{ t: 'heading', level: heading[1].length, c: inline(heading[2]) }, 1];
  if (line.startsWith('```')) return fence(all, at);
  if (/^(-{3,}|\*{3,})\s*$/.test(line)) return [{ t: 'rule' }, 1];
  if (line.startsWith('>')) {
    const body = run(all, at, (l) => l.startsWith('>'));
    return [{ t: 'quote', c: inline(body.map((l) => l.replace(/^> ?/, '')).join('\n')) }, body.length];
  }
  if (BULLET.test(line)) return list(all, at, BULLET, false);
  if (NUMBER.test(line)) return list(all, at, NUMBER, true);
  if (line.startsWith('|') && /^\|[\s:|-]+\|?\s*$/.test(all[at + 1] ?? '')) return table(all, at);
  const body = [line, ...run(all, at + 1, (l) => !PLAIN_END.test(l))];
  return [{ t: 'para', c: inline(body.join('\n')) }, body.length];
}

/** The blocks of a Markdown text. */
export function parseMarkdown(source) {
  const all = source.split('\n');
  const found = [];
  for (let at = 0; at < all.length;) {
    const [block, taken] = blockAt(all, at);
    if (block) found.push(block);
    at += taken;
  }
  return found;
}
