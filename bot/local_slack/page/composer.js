// The field at the bottom: messages, slash commands with their completion, and mentions.
import { freshId, html, useEffect, useLayoutEffect, useRef, useState } from './ui.js';
import { post } from './api.js';
import { addNote, describeCommandFailure, describeFailure } from './notes.js';
import { displayName, people, refreshAfterAct, store } from './store.js';

async function sendCommand(channel, text, thread) {
  const { user } = store;
  if (thread) {
    addNote(channel, `${text.split(/\s/)[0]} is not supported in threads. Sorry!`, thread);
    return true;
  }
  const answer = await post('command', { user, channel, text });
  if (answer.ok === false) addNote(channel, describeCommandFailure(text, answer.error));
  refreshAfterAct();
  return answer.error !== 'unreachable';
}

async function sendMessage(channel, text, thread) {
  const answer = await post('message', { user: store.user, channel, text, ...(thread ? { thread_ts: thread } : {}) });
  if (answer.ok === false) addNote(channel, describeFailure(answer.error), thread);
  refreshAfterAct();
  return answer.ok !== false;
}

/** What can complete the text now: command names, or people after an @. */
function completionsFor(text) {
  if (/^\/\S*$/.test(text)) {
    return (store.workspace.commands ?? []).filter((c) => c.command.startsWith(text.toLowerCase()) || text === '/')
      .map((c) => ({ key: c.command, label: c.command, usage: c.usage_hint, about: c.description, text: `${c.command} ` }));
  }
  const [, before, name] = /^([\s\S]*(?:^|\s))@([\w.-]*)$/.exec(text) ?? [];
  if (before === undefined || text.startsWith('/')) return [];
  return people().filter((u) => u.name.startsWith(name.toLowerCase()) || displayName(u).toLowerCase().startsWith(name.toLowerCase()))
    .map((u) => ({ key: u.id, label: displayName(u), about: `@${u.name}`, text: `${before}@${u.name} ` }));
}

const commandOf = (text) => (store.workspace.commands ?? []).find((c) => text.startsWith(`${c.command} `));

function Completions({ items, active, pick, listId }) {
  return html`
    <ul class="completions" role="listbox" id=${listId} aria-label="Suggestions">
      ${items.map((item, i) => html`
        <li key=${item.key} id=${`${listId}-${i}`} role="option" aria-selected=${i === active} class=${i === active ? 'active' : ''}
          onMouseDown=${(e) => e.preventDefault()} onClick=${() => pick(item)}>
          <span><b>${item.label}</b> <span class="usage">${item.usage}</span></span><small>${item.about}</small>
        </li>`)}
    </ul>`;
}

/** Grows with its text up to a few lines. */
function useGrowing(field, text) {
  useLayoutEffect(() => {
    field.current.style.height = 'auto';
    field.current.style.height = `${Math.min(field.current.scrollHeight, 160)}px`;
  }, [text]);
}

const drafts = new Map();

export function Composer({ channel, thread = null, label }) {
  const place = `${store.user}:${channel}:${thread}`;
  const [text, setText] = useState(drafts.get(place) ?? '');
  const [active, setActive] = useState(0);
  const [closed, setClosed] = useState(false);
  const [listId] = useState(() => freshId('completions'));
  const field = useRef(null);
  useGrowing(field, text);
  useEffect(() => { setText(drafts.get(place) ?? ''); }, [place]);
  const put = (next) => { drafts.set(place, next); setText(next); setActive(0); setClosed(false); };
  const items = closed ? [] : completionsFor(text);
  const pick = (item) => { put(item.text); field.current.focus(); };
  const send = async () => {
    const words = text.trim();
    if (!words) return;
    put('');
    const done = await (words.startsWith('/') ? sendCommand : sendMessage)(channel, words, thread);
    // What could not be sent comes back, unless something else was begun meanwhile.
    if (!done && !drafts.get(place)) put(words);
  };
  const onKeyDown = (event) => {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    // A command that is complete is sent by Enter; a beginning is completed first.
    const completes = items.length && items[active] && (event.key === 'Tab'
      || (event.key === 'Enter' && items[active].text.trim() !== text.trim()));
    if (items.length && step) {
      event.preventDefault();
      setActive((active + step + items.length) % items.length);
    } else if (completes) {
      event.preventDefault();
      pick(items[active]);
    } else if (event.key === 'Escape' && items.length) setClosed(true);
    else if (event.key === 'Enter' && !event.shiftKey) { event.preventDefault(); send(); }
  };
  const command = commandOf(text);
  return html`
    <div class="composer">
      ${items.length ? html`<${Completions} items=${items} active=${active} pick=${pick} listId=${listId} />` : null}
      ${command ? html`<p class="command-hint"><b>${command.command}</b> ${command.usage_hint} <span>${command.description}</span></p>` : null}
      <div class="composer-box">
        <textarea ref=${field} rows="1" value=${text} placeholder=${label} aria-label=${label} spellcheck=${false}
          aria-autocomplete="list" aria-controls=${items.length ? listId : undefined}
          aria-activedescendant=${items.length ? `${listId}-${active}` : undefined}
          onInput=${(e) => put(e.target.value)} onKeyDown=${onKeyDown}></textarea>
        <button type="button" class="send" aria-label="Send" disabled=${!text.trim()} onClick=${send}>➤</button>
      </div>
    </div>`;
}
