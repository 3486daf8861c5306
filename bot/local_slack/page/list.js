// Lists of messages: day dividers, grouping, and a scroll position that behaves.
import { html, useEffect, useLayoutEffect, useRef, useState } from './ui.js';
import { dateOf, dayName, sameDay } from './dates.js';
import { Message } from './message.js';
import { store } from './store.js';

const GROUP_SECONDS = 300;
const NEAR_THE_END_PX = 60;

/** The messages of a place in order, with Slack's own private lines, without what the person dismissed. */
function gather(messages, channel, thread) {
  const notes = (store.notes[channel] ?? []).filter((n) => (n.thread_ts ?? null) === thread);
  const shown = (messages ?? []).filter((m) => !store.hidden.has(m.ts) && (!m.deleted || m.reply_count));
  const alive = notes.filter((n) => !store.hidden.has(n.ts));
  return [...shown, ...alive].sort((a, b) => Number(a.ts) - Number(b.ts));
}

/** What belongs into the channel itself: no replies, unless they are private ones outside of a thread. */
export const topLevel = (messages, channel) => gather(
  messages?.filter((m) => !m.thread_ts || m.thread_ts === m.ts || m.subtype === 'thread_broadcast'), channel, null);

/** The replies of a thread, without the message that they answer. */
export const replies = (messages, channel, thread) => gather(
  messages?.filter((m) => m.ts !== thread && m.thread_ts === thread), channel, thread);

const groups = (before, message) => before && before.user === message.user && !before.ephemeral && !message.ephemeral
  && !before.reply_count && Number(message.ts) - Number(before.ts) < GROUP_SECONDS
  && sameDay(dateOf(before.ts), dateOf(message.ts));

export function Rows({ messages, channel, inThread }) {
  return messages.flatMap((message, i) => {
    const before = messages[i - 1];
    const date = dateOf(message.ts);
    const newDay = !inThread && (!before || !sameDay(dateOf(before.ts), date));
    return [
      newDay ? html`<div class="day" role="separator" key=${`day-${message.ts}`}><span>${dayName(date)}</span></div>` : null,
      html`<${Message} key=${message.ts} channel=${channel} message=${message} inThread=${inThread}
        compact=${!newDay && groups(before, message)} />`,
    ];
  });
}

/** A pane that stays at its end while one is there, and leaves one's place alone otherwise. */
export function ScrollPane({ place, last, mine, label, children }) {
  const pane = useRef(null);
  const inner = useRef(null);
  const atEnd = useRef(true);
  const [behind, setBehind] = useState(false);
  const toEnd = () => { pane.current.scrollTop = pane.current.scrollHeight; };
  const onScroll = () => {
    const { scrollHeight, scrollTop, clientHeight } = pane.current;
    atEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_THE_END_PX;
    if (atEnd.current) setBehind(false);
  };
  useLayoutEffect(() => { atEnd.current = true; setBehind(false); toEnd(); }, [place]);
  useLayoutEffect(() => {
    const wanted = store.shownTs && inner.current.querySelector(`[data-ts="${CSS.escape(store.shownTs)}"]`);
    if (!wanted) return;
    store.shownTs = null;
    atEnd.current = false;
    wanted.scrollIntoView({ block: 'center' });
    wanted.classList.add('flash');
  });
  useLayoutEffect(() => {
    if (mine) atEnd.current = true;
    if (atEnd.current) toEnd();
    else setBehind(true);
  }, [last]);
  useEffect(() => {
    const watch = new ResizeObserver(() => { if (atEnd.current) toEnd(); });
    watch.observe(inner.current);
    watch.observe(pane.current);
    return () => watch.disconnect();
  }, []);
  return html`
    <div class="scroll-frame">
      <div class="scroll-pane" ref=${pane} onScroll=${onScroll} role="log" aria-live="polite" aria-label=${label} tabindex="0">
        <div class="scroll-inner" ref=${inner}>${children}</div>
      </div>
      ${behind ? html`<button type="button" class="jump" onClick=${toEnd}>↓ New messages</button>` : null}
    </div>`;
}
