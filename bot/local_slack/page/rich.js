// rich_text, table and markdown blocks.
import { html } from './ui.js';
import { emojiFor } from './emoji.js';
import { formatDate } from './dates.js';
import { safeUrl } from './mrkdwn.js';
import { parseMarkdown } from './markdown.js';
import { ChannelMention, Emoji, GroupMention, Link, Plain, UserMention, nodes } from './text.js';

function styled(content, style = {}) {
  let out = content;
  if (style.code) out = html`<code>${out}</code>`;
  if (style.strike) out = html`<s>${out}</s>`;
  if (style.italic) out = html`<em>${out}</em>`;
  if (style.bold) out = html`<strong>${out}</strong>`;
  return out;
}

function richLink(e) {
  const url = safeUrl(String(e.url));
  return url ? html`<${Link} url=${url}>${e.text ?? e.url}<//>` : String(e.text ?? e.url);
}

const INLINE = {
  text: (e) => String(e.text),
  link: richLink,
  user: (e) => html`<${UserMention} id=${e.user_id} />`,
  usergroup: (e) => html`<${GroupMention} id=${e.usergroup_id} />`,
  channel: (e) => html`<${ChannelMention} id=${e.channel_id} />`,
  broadcast: (e) => html`<span class="mention mention-me">@${e.range}</span>`,
  emoji: (e) => (emojiFor(e.name) ? html`<${Emoji} name=${e.name} s=${emojiFor(e.name)} />` : `:${e.name}:`),
  date: (e) => formatDate(e.timestamp, e.format ?? '') ?? e.fallback ?? '',
  color: (e) => html`<code>${e.value}</code>`,
};

const inline = (elements) => (elements ?? []).map((e) => styled(INLINE[e.type]?.(e) ?? `[${e.type}]`, e.style));

function RichList({ e }) {
  const items = e.elements.map((item) => html`<li>${inline(item.elements)}</li>`);
  const look = `rich-list indent-${Math.min(8, Number(e.indent) || 0)}`;
  return e.style === 'ordered'
    ? html`<ol class=${look} start=${(Number(e.offset) || 0) + 1}>${items}</ol>` : html`<ul class=${look}>${items}</ul>`;
}

const PART = {
  rich_text_section: (e) => html`<div class="mrkdwn">${inline(e.elements)}</div>`,
  rich_text_list: (e) => html`<${RichList} e=${e} />`,
  rich_text_preformatted: (e) => html`<pre tabindex="0">${inline(e.elements)}</pre>`,
  rich_text_quote: (e) => html`<blockquote class="mrkdwn">${inline(e.elements)}</blockquote>`,
};

export const RichText = ({ block }) => (block.elements ?? []).map((e) => PART[e.type]?.(e) ?? `[${e.type}]`);

function cellOf(cell) {
  if (cell?.type === 'rich_text') return html`<${RichText} block=${cell} />`;
  return html`<${Plain} text=${cell?.text ?? cell?.value ?? ''} />`;
}

/** A table block; its first row is the heading, as Slack draws it. It scrolls sideways within the message. */
export function Table({ block }) {
  const settings = block.column_settings ?? [];
  const look = (i) => `align-${settings[i]?.align ?? 'left'} ${settings[i]?.is_wrapped ? 'wrapped' : ''}`;
  const [head = [], ...rest] = block.rows ?? [];
  return html`
    <div class="table-block" tabindex="0" role="region" aria-label="Table">
      <table>
        <thead><tr>${head.map((cell, i) => html`<th scope="col" class=${look(i)}>${cellOf(cell)}</th>`)}</tr></thead>
        <tbody>${rest.map((row) => html`<tr>${row.map((cell, i) => html`<td class=${look(i)}>${cellOf(cell)}</td>`)}</tr>`)}</tbody>
      </table>
    </div>`;
}

const MARKDOWN = {
  heading: (n) => html`<p class=${`md-heading md-heading-${n.level}`}>${nodes(n.c)}</p>`,
  para: (n) => html`<p class="mrkdwn">${nodes(n.c)}</p>`,
  pre: (n) => html`<pre tabindex="0">${n.s}</pre>`,
  quote: (n) => html`<blockquote class="mrkdwn">${nodes(n.c)}</blockquote>`,
  rule: () => html`<hr />`,
  list: (n) => (n.ordered ? html`<ol>${n.items.map((c) => html`<li>${nodes(c)}</li>`)}</ol>`
    : html`<ul>${n.items.map((c) => html`<li>${nodes(c)}</li>`)}</ul>`),
  table: (n) => html`<div class="table-block" tabindex="0" role="region" aria-label="Table"><table>
    <thead><tr>${n.head.map((c) => html`<th scope="col">${nodes(c)}</th>`)}</tr></thead>
    <tbody>${n.rows.map((r) => html`<tr>${r.map((c) => html`<td>${nodes(c)}</td>`)}</tr>`)}</tbody></table></div>`,
};

export const Markdown = ({ text }) => parseMarkdown(String(text ?? '')).map((n) => MARKDOWN[n.t](n));
