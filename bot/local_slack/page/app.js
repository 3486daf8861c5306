// The page: puts the parts together and draws them after every change of the store.
import { html, render, useEffect, useReducer } from './ui.js';
import { Avatar } from './avatar.js';
import { Blocks } from './blocks.js';
import { Composer } from './composer.js';
import { ConfirmDialog } from './confirm.js';
import { Rows, ScrollPane, replies, topLevel } from './list.js';
import { Message } from './message.js';
import { Modals } from './modal.js';
import { viewScope } from './scope.js';
import { Sidebar, TopBar } from './sidebar.js';
import { channelTitle, currentChannel, go, start, store, subscribe } from './store.js';

function Banners() {
  const { app, connected } = store.workspace;
  if (!store.reachable) return html`<p class="banner bad" role="status">The workspace cannot be reached. Trying again…</p>`;
  if (connected === false) {
    return html`<p class="banner" role="status">${app.name} is offline. Commands and buttons will fail until it is back.</p>`;
  }
  return null;
}

function ChannelHead({ channel }) {
  const prefix = channel.kind === 'private' ? '🔒 ' : channel.kind === 'channel' ? '# ' : '';
  const bot = store.workspace.users.find((u) => u.id === store.workspace.app.bot_user);
  return html`
    <header class="channel-head">
      ${channel.app_dm ? html`<${Avatar} user=${bot} size="small" />` : null}
      <h1>${prefix}${channelTitle(channel)}</h1>
      ${channel.app_dm ? html`<span class="badge">APP</span>`
        : html`<span class="members">${channel.members?.length ?? 0} members</span>`}
    </header>`;
}

function Tabs({ channel }) {
  const tab = (name, words) => html`
    <button type="button" role="tab" aria-selected=${store.tab === name} id=${`tab-${name}`} aria-controls="main-panel"
      onClick=${() => go({ channel: channel.id, tab: name })}>${words}</button>`;
  return html`<div class="tabs" role="tablist" aria-label=${channelTitle(channel)}>${tab('home', 'Home')}${tab('messages', 'Messages')}</div>`;
}

function Home() {
  const view = store.home;
  if (view === undefined) return html`<p class="loading" role="status">Loading…</p>`;
  if (!view) {
    return html`<div class="nothing"><h2>This is ${store.workspace.app.name}’s Home</h2>
      <p>${store.workspace.app.name} has not published anything here yet.</p></div>`;
  }
  return html`<div class="home"><${Blocks} scope=${viewScope(view)} /></div>`;
}

function Beginning({ channel }) {
  const words = channel.app_dm ? `This is the beginning of your messages with ${channelTitle(channel)}.`
    : `This is the very beginning of ${channel.kind === 'private' ? '' : '#'}${channel.name}.`;
  return html`<p class="beginning">${words}</p>`;
}

function Messages({ channel }) {
  const loaded = store.messages[channel.id];
  const shown = topLevel(loaded, channel.id);
  const last = shown.at(-1);
  const title = channel.app_dm ? channelTitle(channel) : `#${channel.name}`;
  const outside = channel.members && !channel.members.includes(store.user);
  return html`
    <${ScrollPane} place=${`${store.user}:${channel.id}:${Boolean(loaded)}`} last=${last?.ts} mine=${last?.user === store.user}
      label=${`Messages in ${title}`}>
      ${loaded ? html`<${Beginning} channel=${channel} />` : html`<p class="loading" role="status">Loading…</p>`}
      <${Rows} messages=${shown} channel=${channel.id} />
    <//>
    ${outside ? html`<p class="outside">You are not a member of ${title}.</p>`
      : html`<${Composer} channel=${channel.id} label=${`Message ${title}`} />`}`;
}

function Thread({ channel }) {
  const { thread } = store;
  const loaded = store.threads[thread];
  const parent = loaded?.find((m) => m.ts === thread) ?? store.messages[channel.id]?.find((m) => m.ts === thread);
  const answers = replies(loaded, channel.id, thread);
  const count = answers.filter((m) => !m.ephemeral).length;
  const last = answers.at(-1);
  const shut = () => go({ thread: null });
  return html`
    <aside class="thread" aria-label="Thread" onKeyDown=${(e) => { if (e.key === 'Escape' && !e.defaultPrevented) shut(); }}>
      <header class="channel-head">
        <button type="button" class="icon-button phone-only" aria-label="Back to channel" onClick=${shut}>‹</button>
        <h1>Thread</h1><span class="members">${channel.app_dm ? '' : '#'}${channelTitle(channel)}</span>
        <button type="button" class="icon-button desk-only" aria-label="Close thread" onClick=${shut}>✕</button>
      </header>
      <${ScrollPane} place=${`${thread}:${Boolean(loaded)}`} last=${last?.ts} mine=${last?.user === store.user} label="Thread">
        ${parent ? html`<${Message} key=${parent.ts} channel=${channel.id} message=${parent} inThread=${true} />` : null}
        ${count ? html`<p class="reply-divider"><span>${count} ${count === 1 ? 'reply' : 'replies'}</span></p>` : null}
        <${Rows} messages=${answers} channel=${channel.id} inThread=${true} />
      <//>
      <${Composer} channel=${channel.id} thread=${thread} label="Reply…" />
    </aside>`;
}

function Place() {
  const channel = currentChannel();
  if (!channel) return html`<main class="main"><p class="nothing">There is no channel here.</p></main>`;
  const home = channel.app_dm && store.tab === 'home';
  return html`
    <main class="main">
      <${ChannelHead} channel=${channel} />
      ${channel.app_dm ? html`<${Tabs} channel=${channel} />` : null}
      <div class="panel" id="main-panel" role=${channel.app_dm ? 'tabpanel' : undefined}
        aria-labelledby=${channel.app_dm ? `tab-${store.tab}` : undefined}>
        ${home ? html`<${Home} />` : html`<${Messages} key=${channel.id} channel=${channel} />`}
      </div>
    </main>
    ${store.thread && !home ? html`<${Thread} key=${store.thread} channel=${channel} />` : null}`;
}

function App() {
  const [, redraw] = useReducer((n) => n + 1, 0);
  useEffect(() => subscribe(redraw), []);
  useEffect(() => { document.documentElement.dataset.theme = store.theme ?? ''; });
  if (!store.workspace) {
    return html`<p class="loading" role="status">${store.reachable ? 'Loading the workspace…' : 'The workspace cannot be reached. Trying again…'}</p>`;
  }
  return html`
    <div class="shell">
      <${TopBar} />
      <${Banners} />
      <div class=${`columns ${store.thread ? 'with-thread' : ''}`}><${Sidebar} /><${Place} /></div>
      <${Modals} />
      <${ConfirmDialog} />
    </div>`;
}

// Preact adds to what is there; the waiting line of index.html has done its work.
const root = document.getElementById('root');
root.replaceChildren();
render(html`<${App} />`, root);
addEventListener('popstate', start);
start();
