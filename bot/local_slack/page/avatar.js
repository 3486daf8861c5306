// Coloured initials, the way a person or the app is shown everywhere.
import { html, useLayoutEffect, useRef } from './ui.js';
import { displayName, store } from './store.js';

const colorOf = (user) => {
  const hex = String(user?.color ?? '').replace('#', '');
  return /^[0-9a-f]{6}$/i.test(hex) ? `#${hex}` : '#616061';
};

export function Avatar({ user, size = '' }) {
  const square = useRef(null);
  // Set through the object model: the page's own policy forbids style attributes.
  useLayoutEffect(() => { square.current.style.backgroundColor = colorOf(user); });
  const name = displayName(user);
  const initials = name.split(/\s+/).map((word) => word.charAt(0)).slice(0, 2).join('').toUpperCase();
  const robot = user?.is_bot ? 'avatar-app' : '';
  return html`<span class=${`avatar ${size} ${robot}`} ref=${square} aria-hidden="true">${initials}</span>`;
}

/** Who wrote a message; Slackbot and unknown accounts included. */
export function authorOf(message) {
  const user = store.workspace.users.find((u) => u.id === message.user);
  if (user) return user;
  return { id: message.user, real_name: message.username || message.user, color: '616061', is_bot: Boolean(message.bot) };
}
