// Reads Slack's mrkdwn into a tree of plain objects. Pure: what it returns is rendered as text nodes elsewhere.
import { emojiFor } from './emoji.js';
import { formatDate } from './dates.js';

const ENTITIES = { '&amp;': '&', '&lt;': '<', '&gt;': '>' };

/** Undoes Slack's three escapes, once. */
export const unescape = (text) => text.replace(/&(?:amp|lt|gt);/g, (entity) => ENTITIES[entity]);

/** The address if a click may follow it, else null: a script or data address is shown as text. */
export function safeUrl(url) {
  return /^(https?:\/\/|mailto:|tel:|slack:\/\/)/i.test(url) ? url : null;
}

const text = (s) => ({ t: 'text', s });

function special(body) {
  const [, command, label] = /^!([^|]*)(?:\|([\s\S]*))?$/.exec(body);
  const [name, ...args] = command.split('^');
  if (name === 'subteam') return { t: 'group', id: args[0], label };
  if (name === 'date') {
    const shown = formatDate(args[0], args[1] ?? '');
    const words = shown === null ? unescape(label ?? '') : unescape(shown);
    const url = safeUrl(unescape(args[2] ?? ''));
    return url ? { t: 'link', url, c: [text(words)] } : { t: 'date', s: words };
  }
  if (['here', 'channel', 'everyone'].includes(name)) return { t: 'broadcast', name };
  return text(unescape(label ?? `<${body}>`));
}

/** What stands between angle brackets. */
function angle(body) {
  const bar = body.indexOf('|');
  const head = bar < 0 ? body : body.slice(0, bar);
  const label = bar < 0 ? undefined : body.slice(bar + 1);
  if (head.startsWith('@')) return { t: 'user', id: head.slice(1), label };
  if (head.startsWith('#')) return { t: 'channel', id: head.slice(1), label };
  if (head.startsWith('!')) return special(body);
  const url = safeUrl(unescape(head));
  if (url) return { t: 'link', url, c: label ? inline(label, { links: false }) : [text(url.replace(/^mailto:/, ''))] };
  return text(unescape(`<${body}>`));
}

const ATOM = /<([^<>\n]+)>|`([^`\n]+)`|:([a-z0-9_+'-]+(?:::skin-tone-[2-6])?):|https?:\/\/[^\s<>|*`]+/gi;

function atomOf(match, options) {
  const [whole, bracket, code, emoji] = match;
  if (bracket !== undefined) return options.links === false ? text(unescape(whole)) : angle(bracket);
  if (code !== undefined) return { t: 'code', c: codeText(code) };
  if (emoji !== undefined) {
    const char = emojiFor(emoji);
    return char ? { t: 'emoji', name: emoji, s: char } : null;
  }
  return options.links === false || options.verbatim ? null : bareLink(whole);
}

function bareLink(whole) {
  const url = unescape(whole).replace(/[.,;:!?)"'\]]+$/, '');
  const rest = unescape(whole).slice(url.length);
  return [{ t: 'link', url, c: [text(url)] }, ...rest];
}

/** Code keeps its characters; only mentions and links are still resolved in it, as in Slack. */
function codeText(source) {
  const nodes = [];
  let at = 0;
  for (const match of source.matchAll(/<([^<>\n]+)>/g)) {
    nodes.push(text(unescape(source.slice(at, match.index))), angle(match[1]));
    at = match.index + match[0].length;
  }
  nodes.push(text(unescape(source.slice(at))));
  return nodes;
}

/** The line as a list of single characters and finished nodes, on which the pairs of marks are then looked for. */
function itemsOf(line, options) {
  const items = [];
  let at = 0;
  ATOM.lastIndex = 0;
  for (const match of [...line.matchAll(ATOM)]) {
    if (match.index < at) continue;
    const atom = atomOf(match, options);
    if (atom === null) continue;
    items.push(...unescape(line.slice(at, match.index)), ...[atom].flat());
    at = match.index + match[0].length;
  }
  items.push(...unescape(line.slice(at)));
  return items;
}

const MARKS = { '*': 'b', _: 'i', '~': 's' };
const isWord = (item) => typeof item === 'string' && /[\p{L}\p{N}]/u.test(item);
const isSpace = (item) => item === undefined || (typeof item === 'string' && /\s/.test(item));

const mayOpen = (items, at) => !isWord(items[at - 1]) && !isSpace(items[at + 1]) && items[at + 1] !== items[at];

function closerOf(items, open) {
  for (let i = open + 2; i < items.length; i += 1) {
    if (items[i] === items[open] && !isSpace(items[i - 1]) && !isWord(items[i + 1])) return i;
  }
  return -1;
}

function pairUp(items) {
  const nodes = [];
  // Where one opener found no end, a later one will not either; without this a hostile line costs its square.
  const hopeless = new Set();
  let plain = '';
  const flush = () => { if (plain) nodes.push(text(plain)); plain = ''; };
  for (let i = 0; i < items.length; i += 1) {
    const item = items[i];
    const opens = typeof item === 'string' && MARKS[item] && !hopeless.has(item) && mayOpen(items, i);
    const close = opens ? closerOf(items, i) : -1;
    if (opens && close < 0) hopeless.add(item);
    if (close > 0) {
      flush();
      nodes.push({ t: MARKS[item], c: pairUp(items.slice(i + 1, close)) });
      i = close;
    } else if (typeof item === 'string') plain += item;
    else { flush(); nodes.push(item); }
  }
  flush();
  return nodes;
}

const inline = (line, options = {}) => pairUp(itemsOf(line, options));

const QUOTE = /^(?:&gt;|>) ?/;

/** Text between code fences: quotes line by line, everything else inline. */
function lines(source, options) {
  const nodes = [];
  let quote = null;
  const all = source.split('\n');
  all.forEach((line, index) => {
    if (QUOTE.test(line)) {
      if (quote) quote.c.push(text('\n'));
      else { quote = { t: 'quote', c: [] }; nodes.push(quote); }
      quote.c.push(...inline(line.replace(QUOTE, ''), options));
      return;
    }
    quote = null;
    nodes.push(...inline(line, options));
    // A quote is a block of its own: the line feed before it would show as an empty line.
    if (index < all.length - 1 && !QUOTE.test(all[index + 1])) nodes.push(text('\n'));
  });
  return nodes;
}

/** The tree of a mrkdwn text. `verbatim` leaves bare addresses alone, as Slack does. */
export function parseMrkdwn(source, options = {}) {
  const nodes = [];
  let at = 0;
  for (const match of source.matchAll(/```([\s\S]+?)```/g)) {
    nodes.push(...lines(source.slice(at, match.index).replace(/\n$/, ''), options));
    nodes.push({ t: 'pre', c: codeText(match[1].replace(/^\n/, '').replace(/\n$/, '')) });
    at = match.index + match[0].length;
    if (source[at] === '\n') at += 1;
  }
  if (at < source.length) nodes.push(...lines(source.slice(at), options));
  return nodes;
}

/** Plain text: no mrkdwn and no entities; only emoji names become pictures, unless `emoji` is false. */
export function parsePlain(source, emoji = true) {
  if (!emoji) return [text(source)];
  const nodes = [];
  let at = 0;
  for (const match of source.matchAll(/:([a-z0-9_+'-]+(?:::skin-tone-[2-6])?):/g)) {
    const char = emojiFor(match[1]);
    if (match.index < at || !char) continue;
    nodes.push(text(source.slice(at, match.index)), { t: 'emoji', name: match[1], s: char });
    at = match.index + match[0].length;
  }
  nodes.push(text(source.slice(at)));
  return nodes;
}
