// One message: who, when, what, and what one can do with it.
import { html, useMemo } from './ui.js';
import { Avatar, authorOf } from './avatar.js';
import { Blocks } from './blocks.js';
import { clockTime, dateOf, dayAndTime, fullTime } from './dates.js';
import { editsOf, messageScope } from './scope.js';
import { change, displayName, go, store, userById } from './store.js';
import { Emoji, Mrkdwn } from './text.js';
import { emojiFor } from './emoji.js';

function Attachment({ attachment, scope }) {
  const a = attachment;
  return html`
    <div class="attachment">
      ${a.pretext ? html`<${Mrkdwn} text=${a.pretext} />` : null}
      ${a.title ? html`<p><strong>${a.title}</strong></p>` : null}
      ${a.text ? html`<${Mrkdwn} text=${a.text} />` : null}
      ${a.blocks ? html`<${Blocks} scope=${{ ...scope, blocks: a.blocks }} />` : null}
      ${!a.text && !a.blocks && !a.title ? a.fallback : null}
    </div>`;
}

function Content({ channel, message }) {
  if (message.deleted) return html`<p class="gone">This message was deleted.</p>`;
  const scope = messageScope(channel, message);
  return html`
    ${message.blocks?.length ? html`<${Blocks} scope=${scope} />`
      : html`<div class="text">${message.plain ? message.text : html`<${Mrkdwn} text=${message.text} />`}
          ${message.edited ? html`<span class="edited"> (edited)</span>` : null}</div>`}
    ${(message.attachments ?? []).map((a) => html`<${Attachment} attachment=${a} scope=${scope} />`)}`;
}

function Files({ message }) {
  if (!message.files?.length || message.deleted) return null;
  return html`<p class="files">${message.files.map((f) => html`
    <a href=${`/_files/${encodeURIComponent(f.id)}`} download=${f.name} key=${f.id}>📄 ${f.title}</a>
    <span> ${f.name}, ${Math.max(1, Math.round(f.size / 1000))} kB</span>`)}</p>`;
}

function Reactions({ message }) {
  const all = Array.isArray(message.reactions) ? message.reactions : [];
  if (!all.length) return null;
  return html`<div class="reactions">${all.map((r) => html`
    <span class=${`reaction ${r.users?.includes(store.user) ? 'mine' : ''}`}>
      ${emojiFor(r.name) ? html`<${Emoji} name=${r.name} s=${emojiFor(r.name)} />` : `:${r.name}:`} ${r.count ?? r.users?.length}
    </span>`)}</div>`;
}

function Replies({ message, openThread }) {
  const count = message.reply_count ?? 0;
  if (!count) return null;
  const latest = message.latest_reply ? `Last reply ${dayAndTime(dateOf(message.latest_reply))}` : '';
  return html`
    <button type="button" class="replies" onClick=${openThread}>
      ${(message.reply_users ?? []).slice(0, 4).map((id) => html`<${Avatar} user=${userById(id)} size="tiny" key=${id} />`)}
      <span class="reply-count">${count} ${count === 1 ? 'reply' : 'replies'}</span>
      <span class="reply-latest">${latest}</span>
    </button>`;
}

function OnlyYou({ message }) {
  const dismiss = () => { store.hidden.add(message.ts); change(); };
  return html`
    <p class="only-you"><span aria-hidden="true">👁</span> Only visible to you
      <button type="button" class="link" onClick=${dismiss}>Dismiss message</button></p>`;
}

function Heading({ author, message, bot }) {
  const date = dateOf(message.ts);
  return html`
    <div class="message-head">
      <span class="author">${message.bot && message.username ? message.username : displayName(author)}</span>
      ${bot ? html`<span class="badge">APP</span>` : null}
      <time title=${fullTime(date)} dateTime=${date.toISOString()}>${clockTime(date)}</time>
    </div>`;
}

/**
 * `compact` leaves out the author, for the next message of the same one; `inThread` leaves out the reply count.
 * A message is drawn again only when it or the workspace changed: typing in a form redraws the page at every letter.
 */
export function Message({ channel, message, compact, inThread }) {
  const edits = editsOf(messageScope(channel, message).key);
  return useMemo(() => html`<${Drawn} channel=${channel} message=${message} compact=${compact} inThread=${inThread} />`,
    [channel, message, compact, inThread, edits, store.workspace, store.user]);
}

function Drawn({ channel, message, compact, inThread }) {
  const author = authorOf(message);
  const date = dateOf(message.ts);
  const openThread = () => go({ thread: message.ts, tab: 'messages' });
  const canReply = !inThread && !message.ephemeral && !message.deleted;
  const look = `message ${compact ? 'compact' : ''} ${message.ephemeral ? 'ephemeral' : ''}`;
  return html`
    <article class=${look} data-ts=${message.ts} aria-label=${`Message from ${displayName(author)}`}>
      <div class="gutter">${compact
        ? html`<time class="hover-time" title=${fullTime(date)}>${clockTime(date)}</time>` : html`<${Avatar} user=${author} />`}</div>
      <div class="message-main">
        ${message.ephemeral ? html`<${OnlyYou} message=${message} />` : null}
        ${compact ? null : html`<${Heading} author=${author} message=${message} bot=${message.bot || author.is_bot} />`}
        <${Content} channel=${channel} message=${message} />
        <${Files} message=${message} />
        <${Reactions} message=${message} />
        ${inThread ? null : html`<${Replies} message=${message} openThread=${openThread} />`}
      </div>
      ${canReply ? html`<div class="toolbar"><button type="button" aria-label="Reply in thread" title="Reply in thread"
        onClick=${openThread}>💬</button></div>` : null}
    </article>`;
}
