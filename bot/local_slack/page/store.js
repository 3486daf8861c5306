// Everything the page knows, where it is (mirrored in the address), and the re-fetching that keeps it true.
import { get, listen, post } from './api.js';
import { addNote, describeFailure } from './notes.js';

export const store = {
  user: null, channel: null, thread: null, tab: 'messages', theme: null,
  workspace: null, messages: {}, threads: {}, home: undefined, stack: [], notes: {}, hidden: new Set(),
  reachable: true, drawer: false, confirm: null, shownTs: null,
};

const watchers = new Set();

/** Calls `watcher` after every change. */
export function subscribe(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** Changes the store and has the page drawn again. */
export function change(fields = {}) {
  Object.assign(store, fields);
  watchers.forEach((watcher) => watcher());
}

export const userById = (id) => store.workspace?.users.find((u) => u.id === id);
export const channelById = (id) => store.workspace?.channels.find((c) => c.id === id);
export const currentChannel = () => channelById(store.channel);
/** The id of the person looking; the server may answer with the id or the whole account. */
export const me = () => userById(store.user);
export const displayName = (user) => user?.real_name || user?.name || 'Someone';
export const channelTitle = (channel) => (channel.app_dm ? store.workspace.app.name : channel.name || 'Direct message');

/** A channel's unread messages; none for the one being read, whatever the server has heard of that so far. */
export function unreadOf(channel) {
  const reading = channel.id === store.channel && !(channel.app_dm && store.tab === 'home');
  return reading ? 0 : channel.unread || 0;
}

/** The people one can be here. */
export const people = () => (store.workspace?.users ?? []).filter((u) => !u.is_bot && !u.deleted);

// --- the address -----------------------------------------------------------------------------------------------

function readAddress() {
  const query = new URLSearchParams(location.search);
  return {
    user: query.get('user'), channel: query.get('channel'), ts: query.get('ts'),
    thread: query.get('thread') ?? query.get('thread_ts'), tab: query.get('tab'), theme: query.get('theme'),
  };
}

/** The address of another place of this page, for links and for the address bar. */
export function addressOf(place) {
  const { user, channel, thread, tab, theme } = { ...store, ...place };
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries({ user, channel, thread, theme })) if (value) query.set(key, value);
  if (channelById(channel)?.app_dm) query.set('tab', tab);
  return `?${query}`;
}

/** The place that a permalink of this workspace names, or null for any other address. */
export function placeOfPermalink(url) {
  if (!URL.canParse(url) || new URL(url).origin !== location.origin) return null;
  const { pathname, searchParams } = new URL(url);
  const [, channel, seconds, rest] = /^\/archives\/(\w+)\/p(\d+)(\d{6})$/.exec(pathname) ?? [];
  if (!channelById(channel)) return null;
  return { channel, thread: searchParams.get('thread_ts'), tab: 'messages', shownTs: `${seconds}.${rest}` };
}

/** Goes to a channel, thread or tab; the address follows, so that Back works and a place can be opened twice. */
export function go(place) {
  const next = { thread: null, drawer: false, ...place };
  history.pushState(null, '', addressOf(next));
  change(next);
  refreshPlace();
}

/** Becomes another person, in the same place when that person may see it. */
export function become(user) {
  if (user === store.user) return;
  history.pushState(null, '', addressOf({ user, thread: null, channel: sameChannelFor(user) }));
  start();
}

function sameChannelFor(user) {
  const channel = currentChannel();
  if (!channel || channel.app_dm) return null;
  return channel.members && !channel.members.includes(user) ? null : channel.id;
}

// --- fetching --------------------------------------------------------------------------------------------------

const newest = {};

/** Fetches, and drops the answer when a later request of the same kind was made or the person changed meanwhile. */
async function fetchLatest(kind, path, query) {
  const ticket = (newest[kind] = (newest[kind] ?? 0) + 1);
  const user = store.user;
  try {
    const body = await get(path, { user, ...query });
    return ticket === newest[kind] && user === store.user && body.ok !== false ? body : null;
  } catch {
    return null;
  }
}

/** Keeps the old object when nothing changed, so that nothing is drawn again. */
const unlessSame = (old, fresh) => (JSON.stringify(old) === JSON.stringify(fresh) ? old : fresh);

/** The fresh list with the old object in every place that did not change. */
function keepSame(old, fresh) {
  const known = new Map((old ?? []).map((message) => [message.ts, message]));
  const merged = fresh.map((message) => unlessSame(known.get(message.ts), message));
  return old && old.length === merged.length && merged.every((m, i) => m === old[i]) ? old : merged;
}

async function refreshWorkspace() {
  const body = await fetchLatest('state', 'state', {});
  // The server's counter says nothing that is shown here.
  if (body) change({ workspace: unlessSame(store.workspace, { ...body, seq: undefined }), reachable: true });
  return body;
}

async function refreshMessages() {
  const channel = store.channel;
  if (!channel) return;
  const body = await fetchLatest('messages', 'messages', { channel });
  if (body) change({ messages: { ...store.messages, [channel]: keepSame(store.messages[channel], body.messages) } });
  // Reading is what clears a badge, so the badges are asked for after the messages.
  if (body && channelById(channel)?.unread) soon('state', refreshWorkspace);
}

async function refreshThread() {
  const { channel, thread } = store;
  if (!thread) return;
  const body = await fetchLatest('thread', 'messages', { channel, thread_ts: thread });
  if (body) change({ threads: { ...store.threads, [thread]: keepSame(store.threads[thread], body.messages) } });
}

async function refreshHome() {
  const body = await fetchLatest('home', 'home', {});
  if (body) change({ home: unlessSame(store.home, body.view) });
}

/** Fetches the open forms again. */
export async function refreshViews() {
  const body = await fetchLatest('views', 'views', {});
  if (body) change({ stack: unlessSame(store.stack, body.stack) });
}

const waiting = {};

/** Several notices in one moment cause one request. */
function soon(kind, refresh) {
  waiting[kind] ??= setTimeout(() => { waiting[kind] = undefined; refresh(); }, 25);
}

const REFRESH = { state: refreshWorkspace, home: refreshHome, views: refreshViews };

function onNotice(notice) {
  if (notice.type === 'message') {
    soon('state', refreshWorkspace);
    if (notice.channel && notice.channel !== store.channel) return;
    soon('messages', refreshMessages);
    soon('thread', refreshThread);
  } else if (notice.type === 'delivery') {
    if (notice.ok === false) onDeliveryFailure(notice);
  } else if (REFRESH[notice.type]) soon(notice.type, REFRESH[notice.type]);
}

/** A command's failure is a private line in the channel; a click's failure is shown where the click was. */
function onDeliveryFailure(notice) {
  const words = notice.text || describeFailure(notice.error);
  if (words.startsWith('/')) addNote(notice.channel ?? store.channel, words);
}

function refreshPlace() {
  const channel = currentChannel();
  if (!channel) return;
  if (channel.app_dm) post('home_opened', { user: store.user, tab: store.tab });
  if (channel.app_dm && store.tab === 'home') refreshHome();
  else refreshMessages();
  refreshThread();
}

// --- starting --------------------------------------------------------------------------------------------------

let stopListening = () => {};

const byIdOrName = (list, wanted) => list.find((x) => x.id === wanted)
  ?? list.find((x) => x.name && x.name.toLowerCase() === String(wanted ?? '').replace(/^[#@]/, '').toLowerCase());

function placeFor(address, workspace) {
  const channels = workspace.channels;
  const named = address.channel && (byIdOrName(channels, address.channel)
    ?? (/^(baton|app)$/i.test(address.channel) ? channels.find((c) => c.app_dm) : undefined));
  const channel = named ?? channels.find((c) => c.kind === 'channel') ?? channels[0];
  const tab = address.tab ?? (channel?.app_dm && !address.ts ? 'home' : 'messages');
  return { channel: channel?.id ?? null, tab, thread: named ? address.thread : null, shownTs: address.ts };
}

async function whoAmI(wanted) {
  const body = await get('state', { user: wanted ?? 'U01ALICE' });
  const users = body.users ?? (await get('state', { user: 'U01ALICE' })).users ?? [];
  const known = users.filter((u) => !u.is_bot && !u.deleted);
  return (byIdOrName(known, wanted) ?? known[0])?.id;
}

/** Reads the address and shows that place as that person; also called for Back and Forward. */
export async function start() {
  const address = readAddress();
  stopListening();
  try {
    const user = await whoAmI(address.user);
    const workspace = await get('state', { user });
    const fresh = user !== store.user;
    change({
      user, workspace, theme: address.theme, drawer: false, reachable: true, ...placeFor(address, workspace),
      ...(fresh ? { messages: {}, threads: {}, home: undefined, stack: [], notes: {}, hidden: new Set() } : {}),
    });
  } catch {
    change({ reachable: false });
    setTimeout(start, 1500);
    return;
  }
  history.replaceState(null, '', addressOf({}));
  refreshPlace();
  refreshViews();
  listenNow();
}

function listenNow() {
  let lost = false;
  stopListening = listen(store.user, {
    onNotice,
    onLost: () => { lost = true; change({ reachable: false }); },
    // What happened while the stream was away was not told to us; the first open may also have missed something.
    onOpen: () => {
      if (lost || !store.reachable) change({ reachable: true });
      lost = false;
      ['state', 'home', 'views'].forEach((kind) => soon(kind, REFRESH[kind]));
      soon('messages', refreshMessages);
      soon('thread', refreshThread);
    },
  });
}

/** Fetches what a click or a message of this person may have changed. */
export function refreshAfterAct() {
  soon('messages', refreshMessages);
  soon('thread', refreshThread);
  soon('views', refreshViews);
}
