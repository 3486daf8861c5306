// Draws parsed text. Everything becomes text nodes and elements chosen here; nothing is ever read as HTML.
import { html } from './ui.js';
import { parseMrkdwn, parsePlain, safeUrl } from './mrkdwn.js';
import { addressOf, channelById, displayName, go, placeOfPermalink, store, userById } from './store.js';

export function Link({ url, children }) {
  const place = placeOfPermalink(url);
  if (place) {
    // Opened in place: as a new page it would have forgotten who one is.
    const open = (event) => { event.preventDefault(); go(place); };
    return html`<a href=${addressOf(place)} onClick=${open}>${children}</a>`;
  }
  return html`<a href=${url} target="_blank" rel="noopener noreferrer">${children}</a>`;
}

export function UserMention({ id, label }) {
  const user = userById(id);
  const mine = id === store.user;
  return html`<span class=${`mention ${mine ? 'mention-me' : ''}`}>@${user ? displayName(user) : label ?? id}</span>`;
}

/** A group's handle: from the workspace when it tells, else what the message itself says. */
export function GroupMention({ id, label }) {
  const group = store.workspace?.usergroups?.find((g) => g.id === id);
  const words = group ? `@${group.handle}` : label || id;
  const mine = group?.users?.includes(store.user);
  return html`<span class=${`mention ${mine ? 'mention-me' : ''}`}>${words.startsWith('@') ? words : `@${words}`}</span>`;
}

export function ChannelMention({ id, label }) {
  const channel = channelById(id);
  if (!channel) return html`<span class="mention">#${label ?? 'private-channel'}</span>`;
  const open = (event) => { event.preventDefault(); go({ channel: id, tab: 'messages' }); };
  return html`<a class="mention" href=${addressOf({ channel: id, thread: null })} onClick=${open}>#${channel.name}</a>`;
}

export const Emoji = ({ name, s }) => html`<span class="emoji" role="img" aria-label=${name.replaceAll('_', ' ')} title=${`:${name}:`}>${s}</span>`;

const DRAW = {
  text: (n) => n.s,
  b: (n) => html`<strong>${nodes(n.c)}</strong>`,
  i: (n) => html`<em>${nodes(n.c)}</em>`,
  s: (n) => html`<s>${nodes(n.c)}</s>`,
  code: (n) => html`<code>${nodes(n.c)}</code>`,
  pre: (n) => html`<pre tabindex="0">${nodes(n.c)}</pre>`,
  quote: (n) => html`<blockquote>${nodes(n.c)}</blockquote>`,
  link: (n) => html`<${Link} url=${n.url}>${nodes(n.c)}<//>`,
  user: (n) => html`<${UserMention} id=${n.id} label=${n.label} />`,
  group: (n) => html`<${GroupMention} id=${n.id} label=${n.label} />`,
  channel: (n) => html`<${ChannelMention} id=${n.id} label=${n.label} />`,
  broadcast: (n) => html`<span class="mention mention-me">@${n.name}</span>`,
  date: (n) => html`<span class="date">${n.s}</span>`,
  emoji: (n) => html`<${Emoji} name=${n.name} s=${n.s} />`,
};

/** The elements of a parsed text. */
export const nodes = (list) => list.map((node) => DRAW[node.t](node));

export function Mrkdwn({ text, verbatim = false }) {
  return html`<span class="mrkdwn">${nodes(parseMrkdwn(String(text ?? ''), { verbatim }))}</span>`;
}

export function Plain({ text, emoji = true }) {
  return html`<span class="plain">${nodes(parsePlain(String(text ?? ''), emoji))}</span>`;
}

/** A Block Kit text object of either kind. */
export function TextObject({ value }) {
  if (!value) return null;
  if (typeof value === 'string') return html`<${Plain} text=${value} />`;
  return value.type === 'mrkdwn'
    ? html`<${Mrkdwn} text=${value.text} verbatim=${value.verbatim} />`
    : html`<${Plain} text=${value.text} emoji=${value.emoji !== false} />`;
}

/** A plain text object as a string, with its emoji as characters: for names, labels and placeholders. */
export const wordsOf = (value) => parsePlain(String(value?.text ?? value ?? '')).map((n) => n.s).join('');

/** Opens an address that an app gave to a button, when it is one that may be opened. */
export function openUrl(url) {
  const safe = safeUrl(String(url));
  if (safe) window.open(safe, '_blank', 'noopener,noreferrer');
}
