// The left side: where one can go; and the person one is.
import { html, useEffect, useRef, useState } from './ui.js';
import { Avatar } from './avatar.js';
import { menuKeys } from './elements.js';
import { addressOf, become, change, channelTitle, displayName, go, me, people, store, unreadOf } from './store.js';

function Entry({ channel, mark }) {
  const here = channel.id === store.channel;
  const tab = channel.app_dm && !unreadOf(channel) ? 'home' : 'messages';
  const open = (event) => { event.preventDefault(); go({ channel: channel.id, tab }); };
  const unread = unreadOf(channel);
  const away = channel.app_dm && !store.workspace.connected;
  return html`
    <li><a class=${`entry ${here ? 'here' : ''} ${unread ? 'unread' : ''}`} href=${addressOf({ channel: channel.id, thread: null, tab })}
      aria-current=${here ? 'page' : undefined} onClick=${open}>
      <span class="mark" aria-hidden="true">${mark}</span><span class="entry-name">${channelTitle(channel)}</span>
      ${channel.app_dm ? html`<span class=${`presence ${away ? 'away' : ''}`} title=${away ? 'offline' : 'online'}></span>` : null}
      ${unread ? html`<span class="count" aria-label=${`${unread} unread`}>${unread}</span>` : null}
    </a></li>`;
}

function Group({ title, channels, mark }) {
  if (!channels.length) return null;
  return html`<section><h2>${title}</h2><ul>${channels.map((c) => html`<${Entry} key=${c.id} channel=${c} mark=${mark(c)} />`)}</ul></section>`;
}

export function Sidebar() {
  const { channels, team, users, app } = store.workspace;
  const bot = users.find((u) => u.id === app.bot_user) ?? users.find((u) => u.is_bot);
  const shut = () => change({ drawer: false });
  return html`
    ${store.drawer ? html`<div class="drawer-shade" onClick=${shut}></div>` : null}
    <nav class=${`sidebar ${store.drawer ? 'open' : ''}`} aria-label="Channels">
      <header><strong>${team.name}</strong>
        <button type="button" class="icon-button phone-only" aria-label="Close navigation" onClick=${shut}>✕</button></header>
      <${Group} title="Channels" channels=${channels.filter((c) => c.kind !== 'im')} mark=${(c) => (c.kind === 'private' ? '🔒' : '#')} />
      <${Group} title="Direct messages" channels=${channels.filter((c) => c.kind === 'im' && !c.app_dm)} mark=${() => '💬'} />
      <${Group} title="Apps" channels=${channels.filter((c) => c.app_dm)} mark=${() => html`<${Avatar} user=${bot} size="tiny" />`} />
      <p class="sidebar-note">A stand-in for Slack that runs on this machine only.</p>
    </nav>`;
}

function PeopleMenu({ shut }) {
  const menu = useRef(null);
  useEffect(() => { (menu.current.querySelector('[aria-checked="true"]') ?? menu.current.querySelector('a'))?.focus(); }, []);
  const pick = (event, user) => {
    // With a modifier key the browser opens the link beside this window, which is what one wants for two people.
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    shut();
    become(user.id);
  };
  return html`
    <div class="backdrop" onClick=${shut}></div>
    <div class="menu people-menu" role="menu" aria-label="Switch person" ref=${menu} onKeyDown=${(e) => menuKeys(e, shut)}>
      ${people().map((user) => html`
        <a key=${user.id} role="menuitemradio" aria-checked=${user.id === store.user}
          href=${addressOf({ user: user.id, channel: null, thread: null })} onClick=${(e) => pick(e, user)}>
          <${Avatar} user=${user} size="small" /><span>${displayName(user)}</span>
          <span class="tick" aria-hidden="true">${user.id === store.user ? '✓' : ''}</span></a>`)}
      <p>Ctrl-click opens a second window as that person.</p>
    </div>`;
}

export function TopBar() {
  const [open, setOpen] = useState(false);
  const button = useRef(null);
  const shut = () => { setOpen(false); button.current?.focus(); };
  const unread = store.workspace.channels.reduce((sum, c) => sum + unreadOf(c), 0);
  useEffect(() => { document.title = `${unread ? `(${unread}) ` : ''}${displayName(me())} | ${store.workspace.team.name} Slack`; });
  return html`
    <header class="topbar">
      <button type="button" class="icon-button phone-only" aria-label="Open navigation" onClick=${() => change({ drawer: true })}>☰
        ${unread ? html`<span class="dot"></span>` : null}</button>
      <span class="topbar-title"><span class="phone-only">${store.workspace.team.name}</span><small>Slack stand-in</small></span>
      <div class="who">
        <button type="button" class="who-button" ref=${button} aria-haspopup="menu" aria-expanded=${open} onClick=${() => setOpen(!open)}>
          <${Avatar} user=${me()} size="small" /><span>You are <b>${displayName(me())}</b></span> <span aria-hidden="true">▾</span></button>
        ${open ? html`<${PeopleMenu} shut=${shut} />` : null}
      </div>
    </header>`;
}
